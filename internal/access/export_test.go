package access

// Keys are the parser's keys by object, for the test that compares them with the schema's.
var Keys = map[string][]string{
	"file": fileKeys, "provider": providerKeys, "grant": grantKeys, "role": roleKeys, "notify": notifyKeys, "mail": mailKeys, "webhook": webhookKeys, "topic": topicKeys,
}
