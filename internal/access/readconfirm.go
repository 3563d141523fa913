package access

import (
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/grant"
)

// readIssuer reads who makes the external IDs.
func (r *reader) readIssuer(v value, g *Grant) {
	text, ok := r.text(v, "issuedBy")
	switch {
	case !ok:
	case text == string(grant.IssuedByProvider):
		g.IssuedBy = grant.IssuedByProvider
	case text != "countersign":
		r.errorf(v, "", "issuedBy: "+string(grant.IssuedByProvider), "issuedBy is countersign, which is the default, or provider: %.40q", text)
	}
}

// readConfirmation reads what becomes of the previous external ID while nobody confirms the current one, and what the provider
// may ask for.
func (r *reader) readConfirmation(keys map[string]value, g *Grant) {
	g.WhenUnconfirmed, g.ProviderMay = grant.UnconfirmedAuto, grant.ProviderActs
	if text, ok := r.text(keys["whenUnconfirmed"], "whenUnconfirmed"); ok {
		g.WhenUnconfirmed = grant.Unconfirmed(text)
		ways := []string{string(grant.UnconfirmedAuto), string(grant.UnconfirmedCut), string(grant.UnconfirmedExtend)}
		if !slices.Contains(ways, text) {
			fix := nearest(strings.ToLower(text), ways)
			if fix == "" {
				fix = string(grant.UnconfirmedAuto)
			}
			r.errorf(keys["whenUnconfirmed"], "", "whenUnconfirmed: "+fix, "whenUnconfirmed is %s: %.40q", strings.Join(ways, ", "), text)
		}
	}
	v := keys["providerMay"]
	if !v.present() {
		return
	}
	g.ProviderMay = nil
	for _, item := range r.list(v, "providerMay") {
		text, ok := r.text(item, "providerMay")
		act := grant.ProviderAct(text)
		switch {
		case !ok:
		case !slices.Contains(grant.ProviderActs, act):
			r.errorf(item, "", "- confirm", "providerMay lists confirm and rotate: %.40q", text)
		case g.Lets(act):
			r.errorf(item, "", "take it out", "%s stands twice in providerMay", text)
		default:
			g.ProviderMay = append(g.ProviderMay, act)
		}
	}
	if !g.Lets(grant.ActConfirm) && g.WhenUnconfirmed != grant.UnconfirmedCut {
		r.warnf(v, "", "providerMay: [confirm]", "the provider may not confirm: after each rotation the previous external ID stays until you do, "+
			"by countersign confirm")
	}
}
