package onetime

import (
	"errors"
	"fmt"
	"time"
)

// clockTolerance is how far the clock here and the index's may be apart. URLs are minted and held to
// their time by the clock here, so this is by how much their time may be wrong.
const clockTolerance = 30 * time.Second

// errNoDate: RFC 9110 demands a date of every server that has a clock, and S3 and DynamoDB
// send one.
// Without it nobody can say that the clocks agree.
var errNoDate = errors.New("the index's answer has no date that can be read")

// dated makes a request whose answer says when the index gave it, by its clock. It is an
// error if the clock here shows another time.
func dated(clock Clock, request func() (at time.Time, err error)) error {
	asked := clock.Now()
	at, err := request()
	if err != nil {
		return err
	}
	return compareClocks(asked, at, clock.Now())
}

// compareClocks is an error if the clocks are surely more than clockTolerance apart. asked and
// answered are when a request began and had its answer, by the clock here. at is when the
// index answered, by its own, cut to the second.
func compareClocks(asked, at, answered time.Time) error {
	if at.IsZero() {
		return errNoDate
	}
	// The index answered before at was a second ago.
	if ahead := asked.Sub(at); ahead >= clockTolerance+time.Second {
		return fmt.Errorf("the clock here is about %d s ahead of the index's", ahead/time.Second)
	}
	if behind := at.Sub(answered); behind > clockTolerance {
		return fmt.Errorf("the clock here is about %d s behind the index's", behind/time.Second)
	}
	return nil
}
