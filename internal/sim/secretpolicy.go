package sim

import (
	"context"
	"strings"

	"github.com/countersign/countersign/internal/grant"
)

// SetPolicy sets a secret's resource policy. Nothing is recorded.
func (m *Secrets) SetPolicy(secretARN string, document []byte) error {
	s, err := m.live(secretARN)
	if err != nil {
		return err
	}
	p, err := parsePolicy(document)
	if err == nil {
		err = checkResourcePolicy(p)
	}
	if err != nil {
		return err
	}
	s.policy = p
	return nil
}

// Get is GetSecretValue by whoever has signed: the caller's policies and the secret's own decide, as they stand. Neither
// version nor stage: AWSCURRENT. The key's policy is not asked. id is the ARN, or within the account the name.
func (m *Secrets) Get(ctx context.Context, who Caller, id, versionID, stage string) (arn string, v grant.Version, err error) {
	v, err = step(ctx, m.w, "secretsmanager", "GetSecretValue", id, func() (grant.Version, error) {
		arn, err = m.admit(who, "secretsmanager:GetSecretValue", id)
		if err != nil {
			return grant.Version{}, err
		}
		return m.read(arn, func(s *secret) (*version, string) {
			if versionID != "" {
				return s.version(versionID), "VersionId: " + clip(versionID)
			}
			if stage == "" {
				stage = grant.StageCurrent
			}
			return s.seenAt(stage, m.w.now, m.w.stale), "staging label: " + clip(stage)
		})
	})
	return arn, v, err
}

// admit says whether a caller may do something with a secret, and which one it is.
func (m *Secrets) admit(who Caller, action, id string) (arn string, err error) {
	caller, known := m.w.identify(who)
	if !known {
		return "", refuse(grant.ErrDenied, "UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	s, err := m.find(id)
	if err != nil {
		// Who may not ask doesn't learn that it isn't there.
		if accountOf(caller.arn) != m.w.cfg.Account || who.Session != nil {
			return "", refuse(grant.ErrDenied, "AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s", caller.arn, action, clip(id))
		}
		return "", err
	}
	q := &apiRequest{id: caller, request: request{action: action, resource: s.arn, keys: map[string][]string{}}}
	for key, values := range caller.keys {
		q.request.keys[key] = values
	}
	for key, value := range s.tags {
		q.request.keys["aws:resourcetag/"+strings.ToLower(key)] = []string{value}
	}
	if ok, _ := m.w.decides(who, q, s.policy); !ok {
		return "", refuse(grant.ErrDenied, "AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s", caller.arn, action, s.arn)
	}
	return s.arn, nil
}
