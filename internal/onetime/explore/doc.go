// Package explore runs the one-time rule under every schedule. The code is that of
// production: two or three gates of one URL, beside an operator who revokes or
// enables it and the bucket's lifecycle; a gate may be asked twice by a caller who has
// not heard of its first try. Each of their requests to the index is answered in every
// order, and lost before or after it took effect, delayed beyond anybody's later
// request, refused, in conflict, or answered too late. The package is tests and
// nothing else.
//
// What must hold in every state: at most one upload passes, and one more for each
// enable; who passes has a claim of its own in the store, and it is the first version
// that the expired entry ever had, by the list of all writes and not by any time; a
// revoke that says so and a pass exclude each other; every reason is true, and the
// one that the protocol's table has for these answers of S3; "nothing was spent" is
// only said where nothing was; and while no more goes wrong than there are repeats
// for, exactly one wins.
//
// The scenarios whose names begin with "table:" have the index in a table, where a gate looks up
// and claims in one request, a claim that comes again has the version that it had, and the item
// is deleted some time after its end. Gates that still make two trips, the last step of
// multipart uploads, and a mint that comes again take part. TestTableLimits shows what a table
// must not be: written in two Regions, or rid of an item while its URL is good.
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
//	429      answered so by a table, and not made
//	slow     answered when the participant's time is up; also after another: "lost+slow"
//	astray   answered, with another date than a gate's clock shows; where a gate spends at
//	         once, with one after the URL's end
//
// A schedule that breaks an invariant is printed with what repeats it:
//
//	ONCEGATE_SCHEDULE='<scenario>: <steps>' go test -run TestRepeat -v ./internal/onetime/explore
//
// ONCEGATE_EXPLORE=full explores what is too long for every day.
package explore
