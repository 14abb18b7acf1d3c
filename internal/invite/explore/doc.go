// Package explore runs the rule of invitations under every schedule, as
// oncegate/internal/onetime/explore does with the rule of one URL. The code is that of
// production: guests who mint under an invitation and upload, holders of URLs from before
// with late clocks, holders who take their URL back, and a keeper who revokes. Each of their
// requests to the bucket is answered in every order, and lost before or after it took
// effect, delayed beyond anybody's later request, refused or in conflict. The package is
// tests and nothing else.
//
// What must hold in every state: at most N uploads are let through; every URL that was
// handed out and is not revoked has a slot of its own; no slot changes that must not; after
// a revoke that was answered no further upload is let through. And in the end: where nothing
// went wrong, N uploads are let through if there are so many that want to; and once all URLs
// are over, one more guest gets every upload that is left, so that no slot is lost.
//
// States that were entered before are not entered again, and the schedules through them are
// counted. A schedule that breaks an invariant is printed. ONCEGATE_EXPLORE=full explores
// most scenarios with one fault more.
package explore
