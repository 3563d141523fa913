package vectors_test

import "strings"

// all are the vectors by name.
func all() map[string]vector {
	one := func(says string, d ...delivery) vector { return vector{says, []string{secret}, d} }
	holds := func(secrets []string, says string, d ...delivery) vector { return vector{says, secrets, d} }
	both := []string{secret, older}
	good := signature(secret, id, sent, said)
	bare := strings.TrimPrefix(good, "v1,")
	return map[string]vector{
		"valid":       one("A delivery as it should be.", ours(fresh)),
		"valid-utf-8": one("The signature covers bytes, not characters.", signed(fresh, id, sent, `{"type":"Access Granted","data":{"provider":"Grüße 東京 🔑"}}`, secret)),
		"valid-header-case": one("Names of headers are the same in any case.",
			ours(fresh).header("webhook-id", "").header("Webhook-Id", id).header("webhook-signature", "").header("WEBHOOK-SIGNATURE", good)),
		"valid-short-key": holds([]string{whsec("24 bytes, the least of a")}, "A key of 24 bytes.",
			signed(fresh, id, sent, said, whsec("24 bytes, the least of a"))),
		"valid-long-key": holds([]string{whsec(strings.Repeat("64 bytes", 8))}, "A key of 64 bytes.",
			signed(fresh, id, sent, said, whsec(strings.Repeat("64 bytes", 8)))),

		"key-wrong":  one("Signed with a key that this receiver doesn't hold.", signed(refused, id, sent, said, another)),
		"key-none":   holds([]string{}, "A receiver that holds no key believes nobody.", ours(refused)),
		"key-prefix": one("The key is the bytes, not the text that stands for them.", signed(refused, id, sent, said, whsec(secret))),

		"rotation-receiver-has-old":  holds([]string{older}, "While a key is rotated both sign: this receiver has only the old one.", signed(fresh, id, sent, said, secret, older)),
		"rotation-receiver-has-new":  one("While a key is rotated both sign: this receiver has only the new one.", signed(fresh, id, sent, said, secret, older)),
		"rotation-receiver-has-both": holds(both, "The receiver holds both, and two signatures are still one delivery.", signed(fresh, id, sent, said, secret, older)),
		"rotation-receiver-early":    holds(both, "The receiver has the next key before the sender signs with it.", signed(fresh, id, sent, said, older)),
		"rotation-receiver-late":     holds(both, "After the overlap the receiver still holds both.", signed(fresh, id, sent, said, secret)),
		"rotation-over":              holds([]string{older}, "After the overlap only the new key signs, and this receiver never learned it.", signed(refused, id, sent, said, secret)),
		"rotation-neither":           holds([]string{another}, "Two signatures, none of a key that this receiver holds.", signed(refused, id, sent, said, secret, older)),

		"time-oldest":   one("Five minutes old: the last moment at which it is taken.", ours(fresh).after(300)),
		"time-stale":    one("Five minutes and a second old: perhaps a replay.", ours(refused).after(301)),
		"time-day-old":  one("A day old.", ours(refused).after(86_400)),
		"time-earliest": one("Five minutes ahead: the receiver's clock is slow.", ours(fresh).after(-300)),
		"time-future":   one("More than five minutes ahead: it would be good for too long.", ours(refused).after(-301)),
		"time-fresh-by-hand": one("An old delivery with the time of now: the signature covers the time.",
			ours(refused).after(86_400).header("webhook-timestamp", seconds(sent+86_400))),
		"time-words":   one("A time that is no number.", ours(refused).header("webhook-timestamp", "Wed, 04 Feb 2026 03:00:25 GMT")),
		"time-endless": one("A time of a thousand digits.", ours(refused).header("webhook-timestamp", strings.Repeat("9", 1000))),

		"body-changed":      one("One character of the body is another.", ours(refused).body(strings.Replace(said, "migration", "migratiom", 1))),
		"body-written-anew": one("The same JSON, parsed and written anew: verify the bytes that arrived.", ours(refused).body(strings.Replace(said, `":"`, `": "`, 1))),
		"body-longer":       one("A line break at the end.", ours(refused).body(said+"\n")),
		"body-empty":        one("No body.", ours(refused).body("")),
		"id-changed":        one("The id is another: the signature covers it, so no repeat passes for something new.", ours(refused).header("webhook-id", "00112233445566778899aabbccddeeff")),
		"id-moved": one("The dots between id, time and body are moved.",
			signed(refused, id+".1", sent, said, secret).header("webhook-id", id).header("webhook-timestamp", "1."+seconds(sent))),

		"missing-id":        one("No webhook-id.", ours(refused).header("webhook-id", "")),
		"missing-id-signed": one("No webhook-id, and a signature that fits: without one no repeat can be told.", signed(refused, "", sent, said, secret).header("webhook-id", "")),
		"missing-timestamp": one("No webhook-timestamp.", ours(refused).header("webhook-timestamp", "")),
		"missing-signature": one("No webhook-signature.", ours(refused).header("webhook-signature", "")),

		"version-v1a-beside": one("A signature of a version that this receiver doesn't know, beside one that it does.",
			ours(fresh).header("webhook-signature", "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== "+good)),
		"version-v2-beside": one("The same, the other way round.", ours(fresh).header("webhook-signature", good+" v2,"+bare)),
		"version-v1a-only":  one("Only a version that this receiver doesn't know.", ours(refused).header("webhook-signature", "v1a,"+bare)),
		"version-v2-only":   one("The right bytes under another version.", ours(refused).header("webhook-signature", "v2,"+bare)),
		"version-none":      one("The right bytes without a version.", ours(refused).header("webhook-signature", bare)),

		"signature-short":    one("The beginning of the right signature.", ours(refused).header("webhook-signature", good[:20])),
		"signature-empty":    one("A version and nothing else.", ours(refused).header("webhook-signature", "v1,")),
		"signature-no-ascii": one("A signature that is no base64, nor ASCII: refuse it, don't fall over.", ours(refused).header("webhook-signature", "v1,schlüssel")),
		"signature-last": one("The right one stands last of many.",
			ours(fresh).header("webhook-signature", strings.Repeat(signature(another, id, sent, said)+" ", 8)+good)),
		"signature-commas": one("Signatures are parted by spaces, not by commas.", ours(refused).header("webhook-signature", "v1,AAAA,"+good)),

		"repeat-same": one("The same bytes twice: the answer to the first was lost.", ours(fresh), ours(repeat).after(5)),
		"repeat-later": one("A later attempt, signed anew: same id, other time.",
			ours(fresh), signed(repeat, id, sent+3600, said, secret)),
		"repeat-after-failure": one("The work failed: only work that is done makes the next attempt a repeat.",
			ours(failed), signed(fresh, id, sent+5, said, secret), signed(repeat, id, sent+305, said, secret)),
		"repeat-other-event": one("Another event with the same words.",
			ours(fresh), signed(fresh, "00112233445566778899aabbccddeeff", sent+1, said, secret)),
		"repeat-after-forged": one("A forged delivery must not use the id up: the real one comes after it.",
			ours(refused).body("{}"), ours(fresh).after(1), ours(repeat).after(2)),
		"repeat-captured": one("A delivery that somebody recorded is played again ten minutes later.",
			ours(fresh), ours(refused).after(600)),
		"repeat-across-keys": holds(both, "The first attempt was signed with the old key, the next with both.",
			signed(fresh, id, sent, said, older), signed(repeat, id, sent+300, said, secret, older)),
	}
}
