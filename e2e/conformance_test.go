//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/sim/conformance"
)

// wrong are the cases that the emulator gets wrong, and how. An entry that passes fails the test: the list is stale then.
var wrong = map[string]string{
	"an account id reads back as the ARN of its root":                                                 "keeps what was written",
	"the quota of a trust policy is 2,048 characters":                                                 "takes more",
	"a deleted principal reads back as its unique id and can't be written again":                      "shows and takes the ARN",
	"a principal of the same name that is made later is another one":                                  "trusts the new one",
	"a list of one reads back as a scalar":                                                            "keeps what was written",
	"a policy has characters up to U+00FF only":                                                       "takes others",
	"a service-linked role can't be changed":                                                          "changes it",
	"a role's tags have bounds":                                                                       "takes more and longer ones",
	"a trust policy that is no JSON is malformed":                                                     "takes it",
	"a trust policy with a hyphen in a Sid is malformed":                                              "takes it",
	"a trust policy with a principal that never existed is malformed":                                 "takes it",
	"a trust policy with a raw unique id is malformed":                                                "takes it",
	"a trust policy with a resource is malformed":                                                     "takes it",
	"a trust policy with an unknown Version is malformed":                                             "takes it",
	"a trust policy with an unknown condition operator is malformed":                                  "takes it",
	"a trust policy with an unknown effect is malformed":                                              "takes it",
	"a trust policy with an unknown element is malformed":                                             "takes it",
	"a trust policy with another service's action is malformed":                                       "takes it",
	"a trust policy with two equal Sids is malformed":                                                 "takes it",
	"a trust policy without a principal is malformed":                                                 "takes it",
	"a trust policy without a statement is malformed":                                                 "takes it",
	"a trust policy without an action is malformed":                                                   "takes it",
	"the inline policies of a role hold 10,240 characters in all":                                     "hold more",
	"an inline policy names resources and no principal":                                               "is taken unread",
	"an external ID has 2 to 1,224 characters of a set":                                               "denied, where AWS says that the call is invalid",
	"a session's name has 2 to 64 characters of a set":                                                "takes others",
	"a role is entered by its whole ARN":                                                              "enters without the path",
	"the external ID is a key of AssumeRole only":                                                     "counts for SetSourceIdentity too",
	"a source identity needs permission of its own":                                                   "asks for none",
	"a session lasts 15 minutes at least and no longer than its role lets it":                         "takes other durations",
	"a chained session lasts an hour at most":                                                         "lasts longer",
	"a token has 32 to 64 characters":                                                                 "takes others for PutSecretValue",
	"a value has 1 to 65,536 bytes":                                                                   "takes others",
	"AWSPENDING can be removed, AWSCURRENT can't":                                                     "removes AWSCURRENT too",
	"a message waits 15 minutes at most and is not empty":                                             "waits longer",
	"a message stays hidden for 12 hours at most":                                                     "stays longer",
	"the account of an event is the sender's, whoever it says it is":                                  "doesn't find the bus of another account",
	"an event has a source of one's own and a JSON object as detail":                                  "takes others",
	"a notification goes to a topic that is there, under a subject of less than 100 ASCII characters": "takes other subjects, and none",
	"a secret's tags have bounds":                                                                     "takes more and longer ones",
	"a standard parameter holds 4,096 characters":                                                     "takes more, and none",
}

// TestConformance runs the suite that the embedded AWS passes against the emulator, through our adapters over HTTP.
func TestConformance(t *testing.T) {
	t.Parallel()
	a := newBench(t, startLab(t)).account(t)
	cases, passed := map[string]bool{}, 0
	for _, c := range conformance.All() {
		cases[c.Name] = true
		t.Run(c.Name, func(t *testing.T) {
			found := conformance.Run(t, c, a)
			reason, listed := wrong[c.Name]
			switch {
			case len(found) == 0 && listed:
				t.Errorf("the emulator does what AWS documents here: take the case off the list (%s)", reason)
			case len(found) > 0 && !listed:
				t.Errorf("the emulator gets this wrong (AWS: %s):\n%s", c.Says, strings.Join(found, "\n"))
			case len(found) == 0:
				passed++
			default:
				t.Logf("known to be wrong, %s:\n%s", reason, strings.Join(found, "\n"))
			}
		})
	}
	for name := range wrong {
		if !cases[name] {
			t.Errorf("the list names %q, which is no case", name)
		}
	}
	t.Logf("%d cases, %d passed, %d are known to be wrong", len(cases), passed, len(wrong))
}

// TestTheDocsSayWhatTheEmulatorGetsWrong holds docs/emulator.md to the list.
func TestTheDocsSayWhatTheEmulatorGetsWrong(t *testing.T) {
	doc := string(must[[]byte](t)(os.ReadFile("../docs/emulator.md")))
	total := len(conformance.All())
	if want := fmt.Sprintf("%d of the %d cases", total-len(wrong), total); !strings.Contains(doc, want) {
		t.Errorf("docs/emulator.md does not say %q", want)
	}
	for name, reason := range wrong {
		if !strings.Contains(doc, "| "+name+" | "+reason+" |") {
			t.Errorf("docs/emulator.md lacks the line\n| %s | %s |", name, reason)
		}
	}
}
