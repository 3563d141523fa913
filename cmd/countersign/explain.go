package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// explanation is one grant as explain tells it.
type explanation struct {
	Grant           string              `json:"grant"`
	Provider        string              `json:"provider"`
	ProviderAccount string              `json:"providerAccount"`
	Role            string              `json:"role"` // path and name
	MayDo           []string            `json:"mayDo"`
	MayNot          string              `json:"mayNot"`
	Needs           string              `json:"needs"`
	Session         string              `json:"session"`
	Rotates         string              `json:"rotates"`
	Schedule        string              `json:"schedule,omitempty"` // Secrets Manager's expression
	Windows         []window            `json:"windows,omitempty"`  // the next five
	Overlap         string              `json:"overlap,omitempty"`
	PickUp          []string            `json:"pickUp,omitempty"` // how the provider reads a new external ID
	WhenUnconfirmed grant.Unconfirmed   `json:"whenUnconfirmed,omitempty"`
	ProviderMay     []grant.ProviderAct `json:"providerMay,omitempty"`
	IssuedBy        grant.Issuer        `json:"issuedBy,omitempty"`
	Ends            time.Time           `json:"ends,omitzero"`
	Tells           []string            `json:"tells"`
	MonthlyUSD      float64             `json:"monthlyUSD"`
	Costs           []cost              `json:"costs,omitempty"`
	Stack           int                 `json:"stack"` // counted from 1
}

type window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func newExplainCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [GRANT]",
		Short: "Say in plain words who may do what",
		Long: `Say in plain words what access.yaml lets whom do: who may enter as what, what
for, when the external ID changes, when access ends, who is told, what it costs.
Reads the file only; no call to AWS.`,
		Example: `countersign explain
countersign explain migration --json`,
		Args: cobra.MaximumNArgs(1),
	}
	file := fileFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		a, err := c.load(*file)
		if err != nil {
			return err
		}
		c.warn(a.Warnings)
		if len(args) == 1 {
			e, ok := a.Find(grant.Name(args[0]))
			if !ok {
				return c.noSuchGrant(args[0], *file, a)
			}
			return c.explain(a, []access.Entry{e}, nil)
		}
		all := costsOf(a)
		return c.explain(a, a.Entries(), &all)
	}
	cmd.ValidArgsFunction = completeGrants(file)
	return cmd
}

func (c *cli) noSuchGrant(name, file string, a *access.Access) error {
	var names []string
	for _, e := range a.Entries() {
		names = append(names, string(e.Grant.Name))
	}
	return fail(exitInput, "It has: "+strings.Join(names, ", ")+".", "%s has no grant %.60q", file, name)
}

// explain tells of grants, and of the whole file what it costs; nil: not of the whole file.
func (c *cli) explain(a *access.Access, entries []access.Entry, sum *costs) error {
	var all []explanation
	for _, e := range entries {
		all = append(all, explainGrant(e, a.MeasuresAges(), c.now()))
	}
	if c.json {
		return writeJSON(c.stdout, struct {
			Grants []explanation `json:"grants"`
			Costs  *costs        `json:"costs,omitempty"`
		}{all, sum})
	}
	var out strings.Builder
	for i, e := range entries {
		if i > 0 {
			out.WriteByte('\n')
		}
		out.WriteString(all[i].text(e))
	}
	if sum != nil {
		out.WriteString("\n" + sum.text())
		b := block{}
		b.row("alarms", alarmed(a))
		out.WriteString(b.String())
	}
	_, err := io.WriteString(c.stdout, out.String())
	return err
}

func explainGrant(e access.Entry, ages bool, now time.Time) explanation {
	p, g := e.Provider, e.Grant
	x := explanation{
		Grant: string(g.Name), Provider: p.Name, ProviderAccount: p.Account, Role: g.RolePath + g.RoleName,
		MayDo: mayDo(g), MayNot: mayNot(g), Needs: needs(p, g), Session: "up to " + spaced(g.MaxSession),
		Rotates: "no: there is no external ID", Ends: g.Expires, Tells: tells(p.Bus, g.Notify), Stack: e.Shard + 1,
	}
	if g.Adopted {
		x.MayDo, x.MayNot = []string{"what the role may, which is its owner's"}, "change what Countersign's own parts refuse it: no guard is put on it"
		x.Needs, x.Session = "its external ID, and whom the role's own statements let in", "as long as its owner says"
	}
	if g.ExternalID {
		s := g.Schedule()
		x.Rotates, x.Schedule = s.String(), s.Expression
		for _, w := range s.Next(now, 5) {
			x.Windows = append(x.Windows, window{w.Start, w.End})
		}
		x.Overlap = spaced(g.Overlap)
		x.PickUp = pickUp(p, g)
		x.WhenUnconfirmed, x.ProviderMay, x.IssuedBy = g.WhenUnconfirmed, g.ProviderMay, cmp.Or(g.IssuedBy, "countersign")
	}
	x.Costs = grantCosts(g, ages)
	x.MonthlyUSD = total(x.Costs)
	return x
}

func (x explanation) text(e access.Entry) string {
	b := block{}
	b.head(x.Grant, fmt.Sprintf("%s (%s) may enter as role %s", x.Provider, x.ProviderAccount, e.Grant.RoleName))
	may := strings.Join(x.MayDo, ". ")
	if may != "everything" && !e.Grant.Adopted {
		may += ". Nothing else"
	}
	b.row("may do", may)
	b.row("may not", x.MayNot)
	b.row("needs", x.Needs)
	b.row("session", x.Session)
	if len(x.PickUp) > 0 {
		b.row("reads", "a new external ID "+strings.Join(x.PickUp, ", or "))
	}
	rotates := x.Rotates
	if len(x.Windows) > 0 {
		rotates += ": " + windowDates(e.Grant.RotateEvery, x.Windows)
	}
	b.row("rotates", rotates)
	if x.Overlap != "" {
		b.row("overlap", overlapText(x.Overlap, e.Grant.WhenUnconfirmed))
		b.row("confirms", confirmsText(e))
	}
	if x.Ends.IsZero() {
		b.row("ends", "when you revoke it: expires is not set")
	} else {
		b.row("ends", x.Ends.Format(time.RFC3339)+": new and live sessions, enforced by IAM")
	}
	for i, told := range x.Tells {
		b.row([]string{"tells", ""}[min(i, 1)], told)
	}
	if x.MonthlyUSD > 0 {
		b.row("costs", fmt.Sprintf("about %s a month: %s", dollars(x.MonthlyUSD), priced(x.Costs)))
	} else {
		b.row("costs", "nothing itself")
	}
	return b.String()
}

func overlapText(overlap string, when grant.Unconfirmed) string {
	if overlap == "0 min" {
		return "none: the previous ID ends as the new one begins"
	}
	text := overlap + ": that long the previous ID also works"
	if when == grant.UnconfirmedCut {
		return text + ", then IAM refuses it by itself"
	}
	return text
}

// confirmsText says what becomes of the previous ID, and why. What the provider confirmed last only the account knows: show.
func confirmsText(e access.Entry) string {
	name := e.Provider.Name
	var text string
	switch e.Grant.WhenUnconfirmed {
	case grant.UnconfirmedCut:
		text = "unconfirmed, the previous ID ends all the same (whenUnconfirmed: cut)"
	case grant.UnconfirmedExtend:
		text = "the previous ID stays until " + name + " confirms (whenUnconfirmed: extend)"
	default:
		text = "the previous ID ends then only if " + name + " confirmed the rotation before; else it stays until " + name + " confirms"
	}
	if !e.Grant.Lets(grant.ActConfirm) {
		text += "; only you confirm, for the provider may not"
	}
	if e.Grant.Lets(grant.ActRotate) {
		text += ". It may ask for a rotation once an hour"
	}
	return text
}

// windowDates lists windows as people read them: days, with hours where there are several a day.
func windowDates(every access.Every, windows []window) string {
	layout := "2 Jan"
	if strings.HasSuffix(string(every), "h") {
		layout = "2 Jan 15:04"
	}
	var out []string
	for _, w := range windows {
		out = append(out, strings.ReplaceAll(w.From.Format(layout), " ", noBreak))
	}
	text := strings.Join(out, ", ")
	if strings.Contains(string(every), "day") && every != access.Daily {
		text += " if the last one were today"
	}
	return text
}

func needs(p *access.Provider, g *access.Grant) string {
	parts := []string{"an external ID"}
	if !g.ExternalID {
		parts = []string{"no external ID"}
	} else if p.Prefix != "" {
		parts = []string{"an external ID that begins with " + p.Prefix + "-"}
	}
	if len(p.Principals) > 0 {
		parts = append(parts, "a principal matching "+strings.Join(p.Principals, " or "))
	} else {
		parts = append(parts, "a principal that account "+p.Account+" lets")
	}
	if p.Organization != "" {
		parts = append(parts, "membership of organization "+p.Organization)
	}
	return strings.Join(parts, ", and ")
}

// pickUp is how the provider reads a new external ID.
func pickUp(p *access.Provider, g *access.Grant) (ways []string) {
	if g.PickUp.Session {
		ways = append(ways, "in its session")
	}
	if g.PickUp.Account {
		ways = append(ways, "from account "+p.Account)
	}
	return ways
}

// alarmed says whom the stacks' alarms tell.
func alarmed(a *access.Access) string {
	var names []string
	for shard := range a.Shards {
		for _, arn := range a.AlarmTopics(shard) {
			if name := "sns " + topicName(arn); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return "tell nobody, they ring in the console only: name an SNS topic under alarms"
	}
	return "tell " + strings.Join(names, ", ")
}

func topicName(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// spaced writes a duration as text does: 24 h, 90 min, 1 h 30 min.
func spaced(d time.Duration) string {
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	var out []string
	if h > 0 {
		out = append(out, fmt.Sprintf("%d h", h))
	}
	if m > 0 {
		out = append(out, fmt.Sprintf("%d min", m))
	}
	if s > 0 {
		out = append(out, fmt.Sprintf("%d s", s))
	}
	if len(out) == 0 {
		return "0 min"
	}
	return strings.Join(out, " ")
}

// completeGrants completes a grant's name from access.yaml.
func completeGrants(file *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a, err := access.Load(*file)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, e := range a.Entries() {
			names = append(names, string(e.Grant.Name)+"\t"+e.Provider.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
