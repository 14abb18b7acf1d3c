// Package explore runs the one-time rule under every schedule: the code of package
// onetime itself, two or three gates of one URL beside a revoke, an enable or the
// bucket's lifecycle, with each of their requests to the index answered in every
// order, lost before or after it took effect, delayed until anybody's later request,
// refused, in conflict, or answered too late. It is tests and nothing else.
//
// What makes that finite: clock and entropy are values, so what a participant does
// next follows from the answers it got, and two schedules that led to the same
// writes in the same order and gave everybody the same answers go on alike. Each
// such state is entered once and the schedules that lead through it are counted,
// not repeated; TestCounting holds the count to a plain enumeration.
//
// A schedule is written as the list of its steps. "g1.Claim" is the request Claim
// of participant g1, answered; behind "!" stands what went wrong:
//
//	lost     not answered and never made
//	done     made and not answered
//	late     not answered, and made at a later step, "g1.Claim!arrives"
//	409 403  answered so, and not made
//	slow     answered when the participant's time is up; also after another: "lost+slow"
//
// A schedule that breaks an invariant is printed with what repeats it:
//
//	ONCEGATE_SCHEDULE='<scenario>: <steps>' go test -run TestRepeat -v ./internal/onetime/explore
//
// ONCEGATE_EXPLORE=full explores what is too long for every day.
package explore
