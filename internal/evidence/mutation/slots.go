package main

const (
	inviteMint    = "internal/invite/mint.go"
	inviteKeeper  = "internal/invite/keeper.go"
	inviteLook    = "internal/invite/look.go"
	inviteRecord  = "internal/invite/record.go"
	inviteSlot    = "internal/invite/slot.go"
	inviteReading = "internal/invite/requests.go"
	inviteStore   = "internal/invite/store.go"
)

// slotMutants are what keeps the uploads of an invitation at N, and a revoke definite.
var slotMutants = []mutant{
	{inviteMint, "an invitation that is closed mints", "return record, record.open(m.Clock.Now())", "return record, nil", false},
	{inviteMint, "what an invitation refuses is made", "if err != nil {\n\t\treturn order, bounds, err\n\t}\n\turls.Bounds = bounds", "if false {\n\t\treturn order, bounds, err\n\t}\n\turls.Bounds = bounds", false},
	{inviteMint, "only the deployment's bounds hold", "urls.Bounds = bounds", "_ = bounds", false},
	{inviteMint, "an entry does not name its invitation", "order.By = record.credential(id).By()", "_ = record", false},
	{inviteMint, "no URL takes a slot", "minted, err := urls.Mint(ctx, order, deadline)\n\tif err != nil {", "minted, err := urls.Mint(ctx, order, deadline)\n\tif false {", false},
	{inviteMint, "a URL without a slot is handed out", "if ours {\n", "if ours || true {\n", false},
	{inviteMint, "an unclear slot is somebody else's", "if err != nil {\n\t\t\t// The slot", "if false {\n\t\t\t// The slot", false},
	{inviteMint, "a URL that nobody holds keeps its slot", "_, _ = m.Closer.Close(ctx, minted.ID, deadline)\n", removed, false},
	{inviteMint, "a slot is tried for without end", "for range maxTakes {", "for {", false},
	{inviteMint, "a new slot needs an old one", "if p.etag == \"\" {", "if false {", false},
	{inviteMint, "a dead URL's slot is made, not replaced", "if p.etag == \"\" {", "if true {", false},
	{inviteMint, "our own write is somebody else's", "case taken && !unanswered:", "case taken && (!unanswered || true):", false},
	{inviteMint, "somebody else's slot is our own", "return slot.State == SlotHeld && slot.URL == url, nil", "return slot.State == SlotHeld, nil", false},
	{inviteMint, "what gave no answer counts as spent", "s.unclear = err\n\t\t\tcontinue", "continue", false},
	{inviteMint, "what gave no answer ends the search", "s.unclear = err\n\t\t\tcontinue", "return place{}, err", false},
	{inviteMint, "any number of slots is looked at", "s.looks < maxLooks", "true", false},
	{inviteMint, "no answer about a URL is an answer", "if err != nil {\n\t\treturn place{}, false, unclear(\"look for", "if false {\n\t\treturn place{}, false, unclear(\"look for", false},
	{inviteMint, "a URL that is good loses its slot", "!now.Before(slot.Expires) && ", removed, false},
	{inviteMint, "entries are kept for ever", " && now.Before(slot.Created.Add(m.Keep))", removed, false},
	{inviteMint, "the clock decides, and no claim", "unspent, err := m.Closer.Close(ctx, slot.URL, s.deadline)", "unspent, err := true, error(nil)", false},
	{inviteMint, "no answer to a claim is an answer", "if err != nil {\n\t\t\treturn place{}, false, unclear(\"claim", "if false {\n\t\t\treturn place{}, false, unclear(\"claim", false},
	{inviteMint, "what a claim found is not asked", "if state = onetime.StateUsed; unspent {", "if state = onetime.StateUsed; unspent || true {", false},
	{inviteMint, "a spent URL loses its slot", "state == onetime.StateRevoked, nil", "state != onetime.StateMinted, nil", false},
	{inviteMint, "spent slots are not marked", "if state == onetime.StateUsed {", "if false {", false},
	{inviteMint, "every slot is marked", "if state == onetime.StateUsed {", "if true {", false},

	{inviteKeeper, "an invitation of any form", "if err := record.check(); err != nil {", "if err := record.check(); false {", false},
	{inviteKeeper, "an invitation outlives what is known of its URLs", "if record.Expires.Sub(record.Created) > k.Keep {", "if false {", false},
	{inviteKeeper, "a lost answer makes no invitation", "if err != nil && !(tries > 1 && errors.Is(err, onetime.ErrExists)) {", "if err != nil {", false},
	{inviteKeeper, "a revoke is not written down", "record, err := k.markRevoked(ctx, id, deadline)", "record, _, err := k.Read(ctx, id, deadline)", false},
	{inviteKeeper, "free slots stay free", "err = each(len(free), func(i int) error { return k.closeSlot(ctx, id, free[i], true, deadline) })", "_ = free", false},
	{inviteKeeper, "a free slot that gave no answer is closed", "if err != nil {\n\t\treturn err\n\t}\n\treturn each(", "if false {\n\t\treturn err\n\t}\n\treturn each(", false},
	{inviteKeeper, "taken slots stay taken", "return each(len(held), func(i int) error { return k.closeSlot(ctx, id, held[i], false, deadline) })", "_ = held\n\treturn nil", false},
	{inviteKeeper, "our own write of the record is a failure", "case !errors.Is(err, onetime.ErrChanged): // else look", "default: // else look", false},
	{inviteKeeper, "a slot taken meanwhile is a failure", "if !errors.Is(err, onetime.ErrExists) { // else look", "if true { // else look", false},
	{inviteKeeper, "a slot taken meanwhile is closed", "if slot.State != SlotHeld {", "if free || slot.State != SlotHeld {", false},
	{inviteKeeper, "slots are closed, their URLs are not", "unspent, err := k.Closer.Close(ctx, slot.URL, deadline)", "unspent, err := true, error(nil)", false},
	{inviteKeeper, "a URL that gave no answer is taken back", "if err != nil {\n\t\t\treturn unclear(\"revoke a URL\"", "if false {\n\t\t\treturn unclear(\"revoke a URL\"", false},
	{inviteKeeper, "a spent URL loses its slot", "if !unspent {", "if !unspent && false {", false},
	{inviteKeeper, "a slot that changes is left alone", "case !errors.Is(err, onetime.ErrChanged):\n\t\t\treturn unclear(\"close a slot\", err)", "default:\n\t\t\treturn nil", false},

	{inviteLook, "no taken slot may change", "if l.Size > MaxFinalBytes {", "if false {", false},
	{inviteLook, "final slots are looked at", "if l.Size > MaxFinalBytes {", "if true {", false},
	{inviteLook, "slots beyond N", "if l.N >= uploads {", "if false {", false},
	{inviteLook, "a failure among several is forgotten", "first = err\n", "_ = err\n", false},
	{inviteLook, "a panic ends the process", "if p := recover(); p != nil {", "if p := any(nil); p != nil {", false},
	{inviteLook, "a closed invitation shows free slots", "if h.State != StateRevoked {", "if true {", false},

	{inviteRecord, "a guest chooses the prefix", "case order.Prefix != r.Prefix:", "case false:", false},
	{inviteRecord, "the invitation's prefix is forgotten", "order.Prefix = r.Prefix", "", false},
	{inviteRecord, "a guest chooses the metadata", "case order.Meta != r.Meta:", "case false:", false},
	{inviteRecord, "a guest chooses the tags", "case order.Tags != r.Tags:", "case false:", false},
	{inviteRecord, "the invitation's tags are forgotten", "order.Tags = r.Tags", removed, false},
	{inviteRecord, "a record with any tags", "r.Tags.Check(), r.Limits", "r.Limits", false},
	{inviteKeeper, "an invitation with tags that the settings do not have", ", bounds.CheckTags(record.Tags))", ")", false},
	{inviteRecord, "a record with any metadata", "cmp.Or(r.Meta.Check(), ", "cmp.Or(", false},
	{inviteRecord, "a record with any prefix", "case r.Prefix != \"\" && !layout.ValidPrefix(r.Prefix):", "case false && !layout.ValidPrefix(r.Prefix):", false},
	{inviteKeeper, "an invitation with a prefix that the settings do not have", "cmp.Or(bounds.CheckPrefix(record.Prefix), ", "cmp.Or(", false},
	{inviteRecord, "a revoked invitation mints", "case !r.Revoked.IsZero():\n\t\treturn ErrRevoked", "case false:\n\t\treturn ErrRevoked", false},
	{inviteRecord, "an invitation has no end", "case r.Expires.Sub(now) < time.Second:", "case false:", false},
	{inviteRecord, "a URL outlives its invitation", "bounds.MaxLife, left.Truncate(time.Second))", "bounds.MaxLife)", false},
	{inviteRecord, "URLs of any life", "min(r.Life, bounds.MaxLife, ", "min(bounds.MaxLife, ", false},
	{inviteRecord, "uploads of any size", "MaxBytes: r.Limits.MaxBytes, Type: r.Limits.Type}", "Type: r.Limits.Type}", false},
	{inviteRecord, "smaller uploads", "onetime.Allowance{MinBytes: r.Limits.MinBytes, ", "onetime.Allowance{", false},
	{inviteRecord, "uploads of any type", ", Type: r.Limits.Type}", "}", false},
	{inviteRecord, "any label", "!text.Name(r.Label):", "!text.Name(\"x\"):", false},
	{inviteRecord, "any number of uploads", "case r.Uploads < 1 || r.Uploads > MaxUploads:", "case false:", false},
	{inviteRecord, "no life at all", "case r.Life < time.Second || ", "case ", false},
	{inviteRecord, "longer than any invitation", "case r.Expires.Sub(r.Created) < time.Second || r.Expires.Sub(r.Created) > MaxLife:", "case r.Expires.Sub(r.Created) < time.Second:", false},
	{inviteRecord, "over before it began", "case r.Expires.Sub(r.Created) < time.Second || ", "case ", false},
	{inviteRecord, "a checksum for every upload", "case r.Limits.SHA256 != \"\":", "case false:", false},
	{inviteRecord, "any limits", ", r.Limits.Check())", ")", false},
	{inviteRecord, "a record or slot of any version", "v != recordVersion {", "false {", false},
	{inviteRecord, "a record of any length", "if len(body) > maxRecordBytes {", "if false {", false},

	{inviteSlot, "a held slot without a time", "ok = err == nil && s.Expires.After(s.Created) && !s.Created.IsZero()", "ok = err == nil", false},
	{inviteSlot, "a spent slot without a URL", "ok = err == nil && s.Created.IsZero() && s.Expires.IsZero()", "ok = true", false},
	{inviteSlot, "a closed slot with a URL", "ok = s.URL == \"\" && s.Created.IsZero() && s.Expires.IsZero()", "ok = true", false},
	{inviteSlot, "a final slot is as long as any", "if s.State == SlotHeld {", "if true {", false},
	{inviteReading, "no such invitation is no answer", "if errors.Is(err, onetime.ErrAbsent) {", "if errors.Is(err, onetime.ErrExists) {", false},
}

const bucketSlots = "internal/s3index/invitations.go"

// bucketSlotMutants are what the requests about invitations are, and what S3's answers mean.
var bucketSlotMutants = []mutant{
	{bucketSlots, "a slot is made over another", "ContentType: contentType, IfAbsent: true}", "ContentType: contentType}", false},
	{bucketSlots, "a slot is replaced whatever it says", "ContentType: contentType, IfMatch: etag}", "ContentType: contentType}", false},
	{bucketSlots, "a slot is replaced by who knows none", "if etag == \"\" { // the write", "if false { // the write", false},
	{bucketSlots, "an answer without an ETag", "if answer.ETag == \"\" {", "if false {", false},
	{bucketSlots, "a slot that is gone is no answer", "case 412, 404:", "case 412:", false},
	{bucketSlots, "another ETag is no answer", "case 412, 404:", "case 404:", false},
	{bucketSlots, "a conflict is no answer", "case 409:\n\t\treturn onetime.ErrConflict", "case 0:\n\t\treturn onetime.ErrConflict", false},
	{bucketSlots, "a replace that meets another is a create", "return onetime.ErrChanged", "return onetime.ErrExists", false},
	{bucketSlots, "half a list of slots", "if page.More {\n\t\treturn nil, &", "if false {\n\t\treturn nil, &", false},
	{inviteStore, "a slot by another name", " && SlotName(n) == name", removed, false},
	{inviteStore, "slots in another order", "for len(name) < 3 {", "for len(name) < 1 {", false},
	{bucketSlots, "slots are listed as invitations", "Delimiter: \"/\", Max", "Max", false},
	{bucketSlots, "every page is the first", "list.After = layout.Invitations + after", "_ = after", false},
	{bucketSlots, "pages without end", "if len(names) == 0 || names[len(names)-1] <= after {", "if len(names) == 0 {", false},
	{bucketSlots, "one page is all", "if page.More {\n\t\tif len", "if false {\n\t\tif len", false},
}
