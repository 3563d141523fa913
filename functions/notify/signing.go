package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// signing is where a webhook goes and what signs it: the current key and, for deliver.KeyOverlap after that one was put in,
// the key before. Only the current version says where to.
func (b *batch) signing(ctx context.Context, hook grant.Destination) (string, deliver.Key, error) {
	current, err := b.Secrets.AtStage(ctx, hook.Secret, grant.StageCurrent)
	if err != nil {
		return "", deliver.Key{}, fmt.Errorf("%w: %w", errNoSecret, err)
	}
	endpoint, key, err := deliver.ParseEndpoint(hook, string(current.Value))
	if err != nil || b.Now().Sub(current.Created) >= deliver.KeyOverlap {
		return endpoint, key, err
	}
	previous, err := b.Secrets.AtStage(ctx, hook.Secret, grant.StagePrevious)
	switch {
	case errors.Is(err, grant.ErrThrottled), errors.Is(err, grant.ErrUnavailable):
		return "", deliver.Key{}, fmt.Errorf("%w: %w", errNoSecret, err) // the next attempt may sign with both
	case err != nil:
		return endpoint, key, nil // there is none, or none that can be read ever again
	}
	if _, old, err := deliver.ParseEndpoint(hook, string(previous.Value)); err == nil {
		key = key.And(old)
	}
	return endpoint, key, nil
}
