package main

const (
	guests = "edge/invitation.go"
	hosts  = "edge/invitations.go"
	by     = "internal/onetime/credential.go"
)

// guestMutants are what the token of an invitation is good for, and who sees invitations.
var guestMutants = []mutant{
	{routes, "a token counts everywhere", "case given && m.invited:", "case given && f.Invitations != nil:", false},
	{routes, "a token is shown to the check of credentials", "case given && m.credential:", "case false:", false},
	{routes, "a token does not bind at /url", "{name: methodGet, handle: (*Functions).mint, credential: true, invited: true},", "{name: methodGet, handle: (*Functions).mint, credential: true},", false},
	{routes, "a token does not bind at POST /url", "{name: methodPost, handle: (*Functions).mint, credential: true, invited: true},", "{name: methodPost, handle: (*Functions).mint, credential: true},", false},
	{routes, "anybody invites", "handle: (*Functions).invite, credential: true", "handle: (*Functions).invite", false},
	{routes, "anybody sees an invitation", "handle: (*Functions).invitationStatus, credential: true", "handle: (*Functions).invitationStatus", false},
	{routes, "anybody revokes an invitation", "handle: (*Functions).revokeInvitation, credential: true", "handle: (*Functions).revokeInvitation", false},
	{edgeMint, "a token mints without its invitation", "if c.invitation != \"\" {\n\t\t\turls[i]", "if false {\n\t\t\turls[i]", false},
	{edgeMint, "an invitation gives several URLs at once", "c.invitation != \"\" && orders.count > 1", "false", false},
	{edgeMint, "the log does not name the invitation", "c.by, _ = onetime.ParseBy(m.Order.By)", "_ = m", false},
	{guests, "a token beside another value", "given = true; len(lines) == 1 {", "given = true; true {", false},
	{guests, "the scheme in one case", "ascii.Lower(scheme) != \"bearer\"", "scheme != \"Bearer\"", false},
	{guests, "a token where there are no invitations", "case f.Invitations == nil:", "case false:", false},
	{guests, "an altered token", "case err != nil:\n\t\treturn \"\", refuse", "case false:\n\t\treturn \"\", refuse", false},
	{guests, "an offer without a token", "if c.invitation == \"\" {", "if false {", false},
	{guests, "a full invitation is revoked", "reason = onetime.InvitationFull", "reason = onetime.InvitationRevoked", false},
	{hosts, "invitations without credentials", "f.Keeper != nil && f.Auth != nil", "f.Keeper != nil", false},
	{hosts, "others' invitations are seen", " && !c.by.Owns(holding.By) {", " && false {", false},
	{hosts, "an invitation is nobody's", "record.By = c.by.By()", "_ = c.by", false},
	{hosts, "unknown options are passed over", "if found != len(values) {", "if false {", false},
	{hosts, "a revoke that was not finished does not say so", "refusal.Reason == onetime.IndexUnavailable {", "false {", false},
	{by, "any credential is the owner", "other.owner() == c.owner()", "other.Kind != \"\"", false},
}
