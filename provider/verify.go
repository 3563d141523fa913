package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/internal/grant"
)

// VerifyOptions say what Verify may do.
type VerifyOptions struct {
	// Confirm stores the current ID and confirms it; without it Verify changes nothing, here and there.
	Confirm bool
	// Patience is how long to wait until AWS takes the current ID; zero: 2 minutes.
	Patience time.Duration
	// Progress is told what is being done and waited for; nil: nobody.
	Progress func(string)
	// Wait sleeps; nil: as time does.
	Wait func(context.Context, time.Duration) error
}

// complete fills in what may be left out.
func (o VerifyOptions) complete() VerifyOptions {
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return o
}

// Verify proves a customer's set-up: the current ID opens the role; none, a random one and the one before don't; the one before can't
// open a session that confirms. With Options.ByAccount the Store need hold no ID: the secret has both. What it found is in the receipt,
// also where the error says that it isn't as it should be: ErrOpen for a role that opens without its ID, which is the customer's to
// mend.
func (c *Client) Verify(ctx context.Context, customer Customer, o VerifyOptions) (Receipt, error) {
	if err := customer.Validate(); err != nil {
		return Receipt{}, err
	}
	v := &verification{entry: &entry{c, customer}, o: o.complete(), receipt: newReceipt(customer, c.Now())}
	err := v.run(ctx)
	return v.receipt, err
}

// VerifyRole is Verify for a role that no customer of ours stands for: the fixed ID that the caller has opens it; none and a random one
// don't. Nothing is read, waited for or confirmed.
func (c *Client) VerifyRole(ctx context.Context, roleARN string, id ExternalID, o VerifyOptions) (Receipt, error) {
	account := grant.RoleAccount(roleARN)
	if account == "" || id.IsZero() {
		return Receipt{}, fmt.Errorf("%.150q is not a role's ARN, or there is no external ID for it", roleARN)
	}
	customer := Customer{Name: account, Account: account, RoleARN: roleARN}
	v := &verification{entry: &entry{c, customer}, o: o.complete(), receipt: newReceipt(customer, c.Now())}
	err := v.fixed(ctx, id)
	return v.receipt, err
}

type verification struct {
	*entry
	o       VerifyOptions
	receipt Receipt
	open    bool // with no ID or any
}

func (v *verification) run(ctx context.Context) error {
	s, err := v.store.Load(ctx, v.customer.Name)
	if err != nil {
		return fmt.Errorf("customer %s: %w", v.customer.Name, err)
	}
	if err := v.signed(ctx); err != nil {
		return err
	}
	session, refused := v.entry.open(ctx, &s)
	byAccount := errors.Is(refused, ErrDenied) && v.ByAccount
	if refused != nil && !byAccount {
		return v.refusedWithout(ctx, refused)
	}
	current, err := v.current(ctx, &s, session, byAccount)
	switch {
	case err != nil && byAccount && !known(s):
		return v.refusedWithout(ctx, err) // there was none to be refused
	case err != nil && byAccount:
		return v.refusedWithout(ctx, fmt.Errorf("%w; by account: %w", refused, err))
	case err != nil:
		return v.refusedWithout(ctx, err)
	}
	v.receipt.VersionID = current.id
	if err := v.refusals(ctx); err != nil {
		return err
	}
	if err := v.enters(ctx, current); err != nil {
		return err
	}
	retired := s.ID
	if retired.Equal(current.value) {
		retired = s.Previous
	}
	if byAccount && !known(s) {
		if retired, err = v.before(ctx); err != nil {
			return err
		}
	}
	if err := v.retired(ctx, retired, current.id); err != nil {
		return err
	}
	if err := v.closed(); err != nil || !v.o.Confirm {
		return err
	}
	return v.confirmed(ctx, &s, current)
}

// signed puts down who tries.
func (v *verification) signed(ctx context.Context) error {
	who, err := v.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("asking AWS who this is: %w", err)
	}
	v.receipt.By = aws.ToString(who.Arn)
	return nil
}

// closed is ErrOpen for a role that opened to what it must not open to.
func (v *verification) closed() error {
	if v.open {
		return fmt.Errorf("customer %s, role %s: %w: its trust policy is to require sts:ExternalId", v.customer.Name, v.customer.RoleARN, ErrOpen)
	}
	return nil
}

// fixed is run for an ID that never changes.
func (v *verification) fixed(ctx context.Context, id ExternalID) error {
	if err := v.signed(ctx); err != nil {
		return err
	}
	if err := v.refusals(ctx); err != nil {
		return err
	}
	v.o.Progress("trying " + string(CheckFixed))
	opens, err := v.try(ctx, id, v.SessionName)
	if err != nil {
		return err
	}
	v.receipt.note(CheckFixed, opens, opens)
	if !opens {
		return errors.Join(fmt.Errorf("role %s: %w", v.customer.RoleARN, ErrDenied), v.closed())
	}
	return v.closed()
}

// refusedWithout tells of a role that can't be entered as it should, and says whether it can be as it shouldn't.
func (v *verification) refusedWithout(ctx context.Context, err error) error {
	if again := v.refusals(ctx); again != nil {
		return errors.Join(err, again)
	}
	return errors.Join(err, v.closed())
}

// current is the version that the secret shows.
func (v *verification) current(ctx context.Context, s *State, session aws.Credentials, byAccount bool) (version, error) {
	v.o.Progress("reading the secret")
	cfg, arn := v.cfg.Copy(), v.customer.SecretARN
	if !byAccount {
		var err error
		if arn, err = v.find(ctx, session, v.customer, s, !v.DoNotConfirm); err != nil {
			return version{}, err
		}
		cfg = v.as(session, "")
	} else if arn == "" {
		arn = s.SecretARN
	}
	if err := v.customer.checkSecret(arn); err != nil {
		return version{}, err
	}
	got, err := v.read(ctx, cfg, v.customer, arn)
	if err != nil {
		return version{}, err
	}
	return got, v.check(*s, got)
}

// before is the ID before the current one, as the secret shows it; zero: there is none.
func (v *verification) before(ctx context.Context) (ExternalID, error) {
	got, err := v.read(ctx, v.cfg.Copy(), v.customer, v.customer.SecretARN, grant.StagePrevious)
	if noVersion(err) {
		return ExternalID{}, nil
	}
	return got.value, err
}

// known says whether a state holds an ID to enter with.
func known(s State) bool { return !s.ID.IsZero() || !s.Previous.IsZero() }

// refusals tries what must not open the role.
func (v *verification) refusals(ctx context.Context) error {
	random, err := grant.NewID(rand.Reader, v.customer.Prefix)
	if err != nil {
		return err
	}
	for _, try := range []struct {
		name CheckName
		id   ExternalID
	}{{CheckNone, ExternalID{}}, {CheckRandom, random}} {
		v.o.Progress("trying " + string(try.name))
		opens, err := v.try(ctx, try.id, v.SessionName)
		if err != nil {
			return err
		}
		v.open = v.open || opens
		v.receipt.note(try.name, opens, !opens)
	}
	return nil
}

// enters enters with the current ID, as soon as AWS takes it.
func (v *verification) enters(ctx context.Context, current version) error {
	const pause = 5 * time.Second
	v.o.Progress("trying " + string(CheckCurrent))
	for waited := time.Duration(0); ; waited += pause {
		opens, err := v.try(ctx, current.value, v.SessionName)
		if err != nil {
			return err
		}
		if opens || waited >= v.o.Patience {
			v.receipt.Seconds = int(waited.Seconds())
			v.receipt.note(CheckCurrent, opens, opens)
			if !opens {
				return fmt.Errorf("customer %s: AWS doesn't take version %s after %s: %w", v.customer.Name, current.id, waited, ErrDenied)
			}
			return nil
		}
		v.o.Progress(fmt.Sprintf("waiting for IAM to show version %s: %s of %s", current.id, waited, v.o.Patience))
		if err := v.o.Wait(ctx, pause); err != nil {
			return err
		}
	}
}

// retired tries the ID before: it may open the role in the overlap, and never a session that confirms.
func (v *verification) retired(ctx context.Context, id ExternalID, versionID string) error {
	if id.IsZero() {
		return nil
	}
	v.o.Progress("trying " + string(CheckRetired))
	opens, err := v.try(ctx, id, v.SessionName)
	if err != nil {
		return err
	}
	v.receipt.note(CheckRetired, opens, true) // the customer's deadline decides
	opens, err = v.try(ctx, id, confirmSession+versionID)
	if err != nil {
		return err
	}
	v.receipt.note(CheckConfirms, opens, !opens)
	v.open = v.open || opens
	return nil
}

// try says whether an ID opens the role. The session is dropped.
func (v *verification) try(ctx context.Context, id ExternalID, session string) (bool, error) {
	_, err := v.assume(ctx, v.customer, id, session)
	if denied(err) {
		return false, nil
	}
	return err == nil, err
}

// confirmed stores the current ID and confirms it.
func (v *verification) confirmed(ctx context.Context, s *State, current version) error {
	v.o.Progress("confirming version " + current.id)
	proof, err := v.assume(ctx, v.customer, current.value, confirmSession+current.id)
	if err != nil {
		return err
	}
	if !current.value.Equal(s.ID) {
		s.Previous = s.ID
	}
	s.ID, s.VersionID, s.Created, s.Checked = current.value, current.id, current.created, v.Now()
	if err := v.save(ctx, s); err != nil {
		return err
	}
	if _, err := v.find(ctx, proof, v.customer, s, true); err != nil {
		return err
	}
	answer, err := v.confirm(ctx, v.customer, s, proof)
	if err != nil {
		return err
	}
	v.receipt.Confirmed, v.receipt.RetireAt = true, answer.RetireAt
	return v.save(ctx, s)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
