package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sandbox"
)

// triggerKey signs what trigger sends, unless another key is given. It is Standard Webhooks' own example: it proves nothing.
const triggerKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// triggered is the answer of trigger.
type triggered struct {
	Event     events.Type `json:"event"`
	EventID   string      `json:"eventId"`
	RoleARN   string      `json:"roleArn"`
	VersionID string      `json:"versionId,omitempty"`
	To        string      `json:"to"`
}

func newTriggerCommand(c *cli) *cobra.Command {
	var to, key, form, at string
	var kinds []events.Type
	var names []string
	for _, k := range events.Types() {
		if k.Concerns(events.Provider) {
			kinds, names = append(kinds, k), append(names, "  "+string(k))
		}
	}
	cmd := &cobra.Command{
		Use:   "trigger EVENT",
		Short: "Send your endpoint a notification, to test it",
		Long: `Send a notification to your own endpoint, as Countersign sends it: a webhook
signed by the Standard Webhooks scheme, or with --as eventbridge an event as a
rule's target gets it. It speaks of a running sandbox's grant, or else of an
example. Without --key it is signed with the key of Standard Webhooks' own
examples, ` + triggerKey + `.

The events:

` + strings.Join(names, "\n"),
		Example: `countersign trigger "External ID Rotated" --to http://localhost:8080/hooks
countersign trigger "Access Revoked" --to https://hooks.example.com --key @key`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, k := range kinds {
				out = append(out, string(k))
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "https URL, or http on this machine (required)")
	cmd.Flags().StringVar(&key, "key", "", "signing key whsec_…: @FILE, or - for stdin")
	cmd.Flags().StringVar(&form, "as", "webhook", "webhook or eventbridge")
	cmd.Flags().StringVar(&at, "sandbox", "", "where the sandbox is, if not at AWS_ENDPOINT_URL")
	_ = cmd.MarkFlagRequired("to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := events.Type(args[0])
		if !slices.Contains(kinds, kind) {
			return fail(exitInput, "countersign trigger --help lists them.", "providers are told of no event %.60q", args[0])
		}
		signer, err := c.signingKey(key)
		if err != nil {
			return err
		}
		return c.trigger(cmd.Context(), kind, to, form, at, signer)
	}
	return cmd
}

// signingKey reads a webhook's key from @FILE or stdin.
func (c *cli) signingKey(from string) (deliver.Key, error) {
	text := triggerKey
	if from != "" {
		var read []byte
		var err error
		switch file, isFile := strings.CutPrefix(from, "@"); {
		case isFile:
			read, err = os.ReadFile(file)
		case from == "-":
			read, err = io.ReadAll(io.LimitReader(c.stdin, 4096))
		default:
			return deliver.Key{}, fail(exitInput, "--key @FILE, or --key - for stdin", "a key is no argument: others on this machine see it")
		}
		if err != nil {
			return deliver.Key{}, fail(exitInput, "", "reading the key: %w", err)
		}
		text = string(read)
	}
	key, err := deliver.ParseKey(text)
	if err != nil {
		return deliver.Key{}, fail(exitInput, "whsec_ and base64 of 24 to 64 bytes", "%w", err)
	}
	return key, nil
}

// trigger sends one notification.
func (c *cli) trigger(ctx context.Context, kind events.Type, to, form, at string, key deliver.Key) error {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())) {
		return fail(exitInput, "--to https://…, or http://localhost:…", "%.100q is no endpoint", to)
	}
	body, result, err := c.notification(ctx, kind, form, at)
	if err != nil {
		return err
	}
	result.To = to
	request, err := deliver.NewRequest(ctx, to, key, result.EventID, c.now(), body)
	if err != nil {
		return fail(exitInput, "", "%w", err)
	}
	if form == "eventbridge" {
		for _, header := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			request.Header.Del(header)
		}
	}
	if err := deliver.Post(http.DefaultClient, request); err != nil {
		return fail(exitFailed, "See that it runs, and takes POST there with a body of JSON.", "nobody took it at %s: %s", to, deliver.Reason(err))
	}
	if c.json {
		return writeJSON(c.stdout, result)
	}
	_, err = fmt.Fprintf(c.stdout, "%s taken: event %s about %s\n", result.Event, result.EventID, result.RoleARN)
	return err
}

// notification is a body as Countersign writes it.
func (c *cli) notification(ctx context.Context, kind events.Type, form, at string) ([]byte, triggered, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, triggered{}, err
	}
	id := hex.EncodeToString(random)
	plan, f := c.spokenOf(ctx, at)
	version, now := f.VersionID, c.now().UTC().Truncate(time.Second)
	result := triggered{Event: kind, EventID: id, RoleARN: plan.RoleARN, VersionID: version}
	facts := deliver.Facts{EventID: id, Kind: kind, At: now, Now: now}
	switch kind {
	case events.TypeExternalIDRotated, events.TypeExternalIDConfirmed, events.TypeRotationUnconfirmed:
		facts.VersionID, facts.PreviousUntil = version, now.Add(24*time.Hour)
		if !f.Until.IsZero() {
			facts.PreviousUntil = f.Until
		}
	case events.TypeAccessGranted, events.TypeAccessRestored, events.TypePreviousRetired:
		facts.VersionID = version
	}
	if kind == events.TypeAccessRevoked || kind == events.TypeAccessRestored {
		facts.RevokeID = "rv-" + now.Format("20060102T150405Z") + "-" + id[:8]
	}
	switch form {
	case "webhook":
		body, err := deliver.NewBody(plan, facts)
		return body, result, err
	case "eventbridge":
		body, err := envelope(kind, plan, facts, f.Kept)
		return body, result, err
	}
	return nil, result, fail(exitInput, "--as webhook, or --as eventbridge", "%.40q is no form", form)
}

// envelope is the example of an event with what is spoken of in its place.
func envelope(kind events.Type, plan grant.Plan, f deliver.Facts, kept bool) ([]byte, error) {
	src, err := events.Example(kind)
	if err != nil {
		return nil, err
	}
	var e map[string]any
	if err := json.Unmarshal(src, &e); err != nil {
		return nil, err
	}
	at := f.At.Format(time.RFC3339)
	e["account"], e["region"], e["time"] = plan.Account, plan.Region, at
	detail := e["detail"].(map[string]any)
	metadata, data := detail["metadata"].(map[string]any), detail["data"].(map[string]any)
	metadata["id"], metadata["time"], metadata["grant"] = f.EventID, at, string(plan.Grant)
	for key, value := range map[string]string{
		"provider": plan.Provider, "providerAccount": plan.ProviderAccount, "account": plan.Account, "roleArn": plan.RoleARN, "secretArn": plan.SecretARN,
		"keyArn": plan.KeyARN, "versionId": f.VersionID, "revokeId": f.RevokeID, "confirmUrl": plan.ConfirmURL,
	} {
		if _, there := data[key]; there && value != "" {
			data[key] = value
		}
	}
	if _, there := data["previousUntil"]; there {
		data["previousUntil"] = f.PreviousUntil.Format(time.RFC3339)
	}
	if kind == events.TypeExternalIDRotated || kind == events.TypeRotationUnconfirmed {
		data["extended"] = kept
	}
	return json.Marshal(e)
}

// spokenOf is the grant of a sandbox that runs, or else that of the events' examples.
func (c *cli) spokenOf(ctx context.Context, at string) (plan grant.Plan, f sandbox.Facts) {
	plan = grant.Plan{Provider: "hestio", ProviderAccount: "111122223333", KeyARN: "arn:aws:kms:eu-west-1:444455556666:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"}
	f, err := c.askSandbox(ctx, at, http.MethodGet, "", sandbox.Order{})
	if err == nil {
		plan.Region, plan.WhenUnconfirmed = sandbox.Region, grant.Unconfirmed(f.When)
		plan.KeyARN = "arn:aws:kms:" + plan.Region + ":" + f.Account + ":key/00000000-0000-4000-8000-000000000000"
	} else {
		f = sandbox.Facts{
			Account: "444455556666", Grant: "migration", RoleARN: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
			SecretARN:  "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf",
			ConfirmURL: "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/grants/migration/confirm",
			VersionID:  "8c1e5f0a-6b7c-4d8e-9f10-213243546576",
		}
		plan.Region = "eu-west-1"
		c.tell("no sandbox answers: this speaks of the example of the docs\n")
	}
	plan.Account, plan.Grant, plan.RoleARN, plan.SecretARN, plan.ConfirmURL = f.Account, grant.Name(f.Grant), f.RoleARN, f.SecretARN, f.ConfirmURL
	return plan, f
}
