package edge

import (
	"oncegate/internal/onetime"
)

// row is the answer to a reason.
type row struct {
	reason   onetime.Reason
	status   int
	sentence string
}

// table holds a row for each reason. It is no map, because every cold start would have to
// compile and run what fills one.
type table []row

// row returns the row for a reason, or false where the table has none.
func (t table) row(reason onetime.Reason) (row, bool) {
	for _, row := range t {
		if row.reason == reason {
			return row, true
		}
	}
	return row{}, false
}

// refusals is the one table from reason to answer: status and the rest of a
// sentence that begins with the status text. Nothing else of an error ever reaches
// a client.
var refusals = table{
	{onetime.Used, statusForbidden, "this URL has already been used; if an earlier try was your own, it may be stored, and any other upload needs a new URL."},
	{onetime.Revoked, statusForbidden, "this URL has been revoked; get a new one."},
	{onetime.Unknown, statusForbidden, "this URL was altered on the way or was not issued here; copy the whole URL again, exactly as it was issued, with & and not &amp;."},
	{onetime.Expired, statusForbidden, "this URL has expired; get a new one."},
	{onetime.Method, statusForbidden, "this method is not allowed here; upload with PUT, get a URL with GET /url."},
	{onetime.Path, statusForbidden, "there is nothing at this path; upload to the whole URL as it was issued, get a URL with GET /url."},
	{onetime.LengthRequired, statusLengthRequired, "the length of an upload must be known before; send exactly one Content-Length and no Transfer-Encoding."},
	{onetime.TooLarge, statusRequestEntityTooLarge, "one PUT holds at most 5 GiB (5368709120 bytes); send a smaller file, or in parts if this deployment takes them."},
	{onetime.TooSmall, statusBadRequest, "this URL takes a larger upload."},
	{onetime.Type, statusUnsupportedMediaType, "this URL takes another content-type."},
	{onetime.Header, statusBadRequest, "a header does not fit an upload."},
	{onetime.Options, statusBadRequest, "an option is not known or out of bounds."},
	{onetime.NoMultipart, statusConflict, "this URL takes one PUT and no multipart upload."},
	{onetime.NotStarted, statusConflict, "no multipart upload was started with this URL; send POST with &uploads, or the whole file with PUT."},
	{onetime.BadPart, statusBadRequest, "this is not a part that the URL takes."},
	{onetime.Incomplete, statusConflict, "the parts do not make the object yet; nothing was spent."},
	{onetime.IndexUnavailable, statusServiceUnavailable, "the index gave no clear answer and nothing was spent; try the same request again."},
	{onetime.ClaimUnknown, statusServiceUnavailable, "the upload did not go through and its URL may be spent; get a new one."},
	{onetime.Internal, statusServiceUnavailable, "this request could not be handled; get a new URL, and tell the operator if it fails again."},

	{onetime.CredentialMissing, statusUnauthorized, "a credential is needed here."},
	{onetime.CredentialInvalid, statusUnauthorized, "this credential is not valid here."},
	{onetime.DayFull, statusConflict, "this API key has had all its URLs of today; the next day begins at 00:00 UTC."},
	{onetime.KeysUnavailable, statusServiceUnavailable, "credentials cannot be checked right now; try the same request again."},

	{onetime.InvitationUnknown, statusUnauthorized, "there is no such invitation; open the link again, whole and exactly as it was sent."},
	{onetime.InvitationRevoked, statusForbidden, "this invitation has been taken back; ask whoever sent it."},
	{onetime.InvitationOver, statusForbidden, "the time of this invitation is over; ask whoever sent it for a new one."},
	{onetime.InvitationFull, statusConflict, "all uploads of this invitation are taken; one that is not finished becomes free when its time is over."},
}

// ownerRefusals are the rows that are different where a URL is asked for by its
// fingerprint. What is refused there is not an upload: a resource is absent, or in the
// wrong state.
var ownerRefusals = table{
	{onetime.Unknown, statusNotFound, "no URL with this id was issued to this credential."},
	{onetime.Used, statusConflict, "this URL has been used and cannot be taken back."},
}

// keeperRefusals are the rows that are different where an invitation is asked for by its
// id.
var keeperRefusals = table{
	{onetime.InvitationUnknown, statusNotFound, "no invitation with this id was made by this credential."},
}

// StatusOf is the status of the answer that refuses a request for path for this
// reason. It returns false where there is no such reason.
func StatusOf(reason onetime.Reason, path string) (status int, ok bool) {
	for i := range routes {
		if row, other := routes[i].refusals.row(reason); other && routes[i].covers(path) {
			return row.status, true
		}
	}
	row, ok := refusals.row(reason)
	return row.status, ok
}

// retryAfter, in seconds, goes with refusals after which the same request may succeed.
const retryAfter = "1"
