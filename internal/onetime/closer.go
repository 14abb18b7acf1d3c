package onetime

import (
	"context"
	"errors"
	"time"
)

// Closer looks at URLs and takes them back for a rule over several URLs, such as package
// invite's. It works at the edge, in the time that one invocation has. Its methods may be
// called concurrently.
type Closer struct {
	Records Records
	Clock   Clock
	Entropy Entropy // safe for concurrent use
}

// Look reports what the expired entry says of a URL: StateUsed, StateRevoked, or
// StateMinted where there is none. It does not look at the URL's time. An expired entry
// that was deleted counts as used. After an error nothing is known.
func (c *Closer) Look(ctx context.Context, id ID, deadline time.Time) (State, error) {
	reason, err := c.keeper(deadline).headExpired(ctx, id)
	switch {
	case errors.Is(err, ErrAbsent):
		return StateMinted, nil
	case err == nil && reason == Revoked:
		return StateRevoked, nil
	case err == nil, errors.Is(err, ErrDeleted):
		return StateUsed, nil
	}
	return "", err
}

// Close takes a URL back as Operator.Revoke does. unspent is true if no upload with this
// URL was let through and none ever will be; false if one was, or if the URL's entries are
// gone, so that nobody can tell. After an error neither is known, and Close may be called
// again.
//
// It is right only while an expired entry of this URL would still be there, had there ever
// been one: the bucket keeps them for a time only.
func (c *Closer) Close(ctx context.Context, id ID, deadline time.Time) (unspent bool, err error) {
	_, err = c.keeper(deadline).revoke(ctx, id, true)
	if state, ok := errors.AsType[*StateError](err); ok && (state.State == StateUsed || state.State == StateUnknown) {
		return false, nil
	}
	return err == nil, err
}

func (c *Closer) keeper(deadline time.Time) keeper {
	return (&Owner{c.Records, c.Clock, c.Entropy}).keeper(deadline)
}

// Repeat makes one request to the bucket for a rule outside this package, and repeats it
// as the gate does, until there is a definite answer. It begins none that would have less
// time than an answer needs. The error is the last request's.
func Repeat(ctx context.Context, clock Clock, entropy Entropy, until time.Time, request func(limit time.Duration) error) error {
	return requests{clock, entropy}.repeat(ctx, until, leastLimit, writeLimit, request)
}

// ReadBackTime is what a conditional write must leave of its time, to read back what was
// written if its answer is lost.
const ReadBackTime = readBackLimit
