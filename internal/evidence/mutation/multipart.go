package main

const (
	multipart  = "internal/onetime/multipart.go"
	completing = "internal/onetime/complete.go"
	parts      = "internal/onetime/parts.go"
	operation  = "internal/onetime/operation.go"
	edgeParts  = "edge/multipart.go"
)

// multipartMutants are about the other way to use a URL.
var multipartMutants = []mutant{
	{operation, "two operations at once", "if op.Name != \"\" {", "if false {", false},
	{operation, "complete with a value", "case op.Name != OpPart && op.Value != \"\":", "case false:", false},
	{operation, "two etags", "err != nil || etag {", "err != nil {", false},
	{operation, "an etag of any form", "case etag && !isUploadETag(op.ETag):", "case false:", false},
	{operation, "etag with any operation", "case etag && op.Name != OpComplete:", "case false:", false},
	{operation, "after with any operation", "case after && op.Name != OpList:", "case false:", false},
	{operation, "quotes belong to the etag", "strings.Trim(value, `\"`)", "value", false},

	{parts, "parts are too small for the largest file", "size := (most + MaxParts - 1) / MaxParts", "size := most / MaxParts / 2", false},
	{parts, "one part too few", "(most+MinPartBytes-1)/MinPartBytes", "most/MinPartBytes", false},
	{parts, "any number of parts", "number < 1 || number > int64(p.Count)", "number < 1", false},
	{parts, "parts of any size", "case length > p.Bytes:", "case false:", false},
	{parts, "empty parts", "case length == 0:", "case false:", false},
	{parts, "no parts", "if len(parts) == 0 {\n\t\treturn refuseIncomplete", "if false {\n\t\treturn refuseIncomplete", false},
	{parts, "gaps", "if part.Number != i+1 {", "if false {", false},
	{parts, "small parts anywhere", "if part.Size < MinPartBytes && i < len(parts)-1 {", "if false {", false},
	{parts, "the last part must be large", "if part.Size < MinPartBytes && i < len(parts)-1 {", "if part.Size < MinPartBytes {", false},
	{parts, "a sum beyond maxBytes", "case sum > l.most():", "case false:", false},
	{parts, "maxBytes itself is too much", "case sum > l.most():", "case sum >= l.most():", false},
	{parts, "a sum below minBytes", "case sum < l.MinBytes:", "case false:", false},
	{parts, "the sum is that of the last part", "sum += part.Size", "sum = part.Size", false},
	{parts, "an upload in an entry may be missing", "if e.Upload == \"\" || ", "if ", false},

	{multipart, "a used URL goes on", "case u.used:\n\t\treturn refuse(Used, nil)\n\tcase !now", "case !now", false},
	{multipart, "an expired URL goes on", "case !now.Before(u.entry.Expires):\n\t\treturn refuse(Expired, nil)", "case false:", false},
	{multipart, "the first moment after is good", "case !now.Before(u.entry.Expires):", "case now.After(u.entry.Expires):", false},
	{multipart, "a checksum is forgotten", "if limits.SHA256 != \"\" {", "if false {", false},
	{multipart, "any type", "if err := limits.checkType(put.Headers); err != nil {", "if err := limits.checkType(put.Headers); false {", false},
	{multipart, "every start is an upload of its own", "if u.parts == nil {\n\t\tif u.parts", "if true {\n\t\tif u.parts", false},
	{multipart, "the loser keeps his upload", "return first, nil", "return &own, nil", false},
	{multipart, "the loser leaves his upload behind", "case first.Upload != own.Upload:", "case false:", false},
	{multipart, "the upload of everybody is aborted", "case first.Upload != own.Upload:", "case true:", false},
	{multipart, "an entry that may not be written starts", "case !errors.Is(err, ErrExists):\n\t\treturn nil, refuse", "case false:\n\t\treturn nil, refuse", false},
	{multipart, "the object has no headers of the client", "!set && ruleOf(name).handling == stored", "set", false},
	{multipart, "the client's headers win", "!set && ruleOf(name).handling == stored", "(set || !set) && ruleOf(name).handling == stored", false},
	{multipart, "a form's type is the file's", "values[0] == \"application/x-www-form-urlencoded\"", "false", false},
	{multipart, "parts beyond the plan", "if err := plan.check(number, length); err != nil {\n\t\treturn Pass{}, err\n\t}\n\tquery", "if err := plan.check(number, length); false {\n\t\treturn Pass{}, err\n\t}\n\tquery", false},
	{multipart, "the settings' maxBytes do not bind parts", "plan := u.entry.Limits.within(m.MaxBytes).plan()\n\tplan.Bytes = u.parts", "plan := u.entry.Limits.plan()\n\tplan.Bytes = u.parts", false},
	{multipart, "no list after complete", "if err == nil && u.used {\n\t\tvar claim", "if false {\n\t\tvar claim", false},
	{multipart, "who was overtaken is told that nothing was started", "if err == nil && !u.used {\n\t\terr = gone", "if err == nil {\n\t\terr = gone", false},
	{completing, "complete that was overtaken is told that nothing was started", "if partsGone(err) {", "if false {", false},
	{multipart, "giving up spends nothing", "if err != nil && ReasonOf(err) != Revoked {\n\t\t\treturn err", "if false {\n\t\t\treturn err", false},
	{multipart, "giving up leaves the parts", "if limit := deadline.Sub(m.Clock.Now()); u.parts != nil", "if limit := deadline.Sub(m.Clock.Now()); false && u.parts != nil", false},
	{multipart, "giving up is a use", "ExpiredEntry{Reason: Revoked, Request", "ExpiredEntry{Reason: Used, Request", false},
	{multipart, "every upload has one nonce", "[]byte(\"complete\\n\" + e.Upload)", "[]byte(\"complete\\n\")", false},
	{multipart, "an unclear parts entry is none", "if errors.Is(err, ErrAbsent) {\n\t\treturn nil, nil", "if err != nil {\n\t\treturn nil, nil", false},

	{completing, "the claim is not made", "Attempt{Nonce: u.parts.completion(), Repeated: true}", "Attempt{Repeated: true}", false},
	{completing, "a rival's claim is not known", "Attempt{Nonce: u.parts.completion(), Repeated: true}", "Attempt{Nonce: u.parts.completion()}", false},
	{completing, "limits are not asked", "if err := u.entry.Limits.within(m.MaxBytes).checkParts(parts); err != nil {", "if err := u.entry.Limits.within(m.MaxBytes).checkParts(parts); false {", false},
	{completing, "the settings' maxBytes do not bind", "u.entry.Limits.within(m.MaxBytes).checkParts", "u.entry.Limits.checkParts", false},
	{completing, "the etag is asked after the claim", "if op.ETag != \"\" && op.ETag != uploadETag(parts) {", "if false {", false},
	{completing, "another etag afterwards", "if op.ETag != \"\" && op.ETag != uploadETag(claim.Parts.Stored()) {", "if false {", false},
	{completing, "the claim forgets the etag", "Parts: partList(parts), ETag: op.ETag}", "Parts: partList(parts)}", false},
	{completing, "the claim forgets its parts", "Parts: partList(parts), ETag: op.ETag}", "ETag: op.ETag}", false},
	{completing, "the first-version rule is not asked", "err = m.checkClaim(ctx, url.ID, version, deadline)", "_ = version", false},
	{completing, "a claim of a PUT is the upload's", "if u.parts == nil {\n\t\treturn ExpiredEntry{}, \"\", refuse(Used, nil)", "if false {\n\t\treturn ExpiredEntry{}, \"\", refuse(Used, nil)", false},
	{completing, "no answer is stored", "case errors.Is(err, errNoTime), Repeatable(err):\n\t\treturn completed, nil", "case errors.Is(err, errNoTime), Repeatable(err):\n\t\tcompleted.Stored = true\n\t\treturn completed, nil", false},
	{completing, "a refusal of S3 goes on", "case errors.Is(err, errNoTime), Repeatable(err):", "default:", false},
	{completing, "late parts of another size", "|| part.Size != claimed[i].Size {", "{", false},
	{completing, "late parts whatever the etag", "if claim.ETag != \"\" && uploadETag(parts) != claim.ETag {", "if false {", false},
	{completing, "late parts are never looked at", "if errors.Is(err, ErrParts) {", "if false {", false},
	{completing, "any object is ours", "case size != completed.Size || etag != uploadETag(completed.Parts) &&", "case size < 0 && etag != \"\" &&", false},
	{completing, "an object of any number of parts is ours", "m.OpaqueETags && strings.HasSuffix(etag, \"-\"+strconv.Itoa(len(completed.Parts)))", "m.OpaqueETags && strings.HasPrefix(etag, strconv.Itoa(0)[1:])", false},
	{completing, "every bucket has ETags of KMS", "m.OpaqueETags && strings.HasSuffix", "strings.HasSuffix", false},
	{completing, "an object that is there is not looked for", "if errors.Is(err, ErrExists) || errors.Is(err, ErrAbsent) || errors.Is(err, ErrConflict) {", "if false {", false},

	{enable, "a URL that was moved is enabled", "if claim.Nonce == moveNonce(target.ID) {", "if false {", false},
	{enable, "the old upload goes on", "return o.Parts.AbortUpload(ctx, limit, key, entry.Upload)", "_ = entry\n\t\t\treturn nil", false},
	{enable, "the parts entry stays", "return o.Parts.DeletePartsEntry(ctx, limit, id, v.ID)", "_ = v\n\t\t\t\treturn nil", false},
	{enable, "an object that came late is not seen", "if ended && !stored {", "if ended && false {", false},
	{enable, "an upload that is not ended is no matter", "return false, fmt.Errorf(\"end the multipart upload: %w\", err)", "return true, nil", false},

	{edgeParts, "lists of any length", "if len(parts) > listPage {", "if false {", false},
	{edgeParts, "after is not heard", "parts[0].Number <= op.After", "false", false},
	{edgeParts, "S3's checksum is not handed on", "w.StringIf(\"crc64nvme\", done.CRC64NVME)", removed, false},
	{edgeParts, "the start does not say how much it takes", "w.Int(\"maxBytes\", started.MaxBytes)", removed, false},
	{edgeParts, "GET without parts", "if op.Name != onetime.OpList {", "if false {", false},
	{edgeParts, "not stored is 200", "if !done.Stored {\n\t\tresponse", "if false {\n\t\tresponse", false},
}
