package main

const (
	accepts = "internal/acceptance/acceptance.go"
	copies  = "internal/acceptance/parts.go"
	hook    = "internal/acceptance/webhook/webhook.go"
)

// acceptanceMutants are the rules by which the first version is accepted once, and what
// follows happens at least once.
var acceptanceMutants = []mutant{
	{accepts, "the newest version is accepted", "oldest := versions[len(versions)-1]", "oldest := versions[0]", false},
	{accepts, "what was accepted is decided again", "decided := err == nil", "decided := err == nil && false", false},
	{accepts, "what was consumed is decided again", "if errors.Is(err, ErrConsumed) {\n\t\tversions", "if errors.Is(err, ErrConsumed) {\n\t\treturn Object{}, ErrAbsent\n\t\tversions", false},
	{accepts, "consumed by its newest copy", "versions[len(versions)-1].ID)", "versions[0].ID)", false},
	{accepts, "a fault is taken for absent", "if err != nil && !errors.Is(err, ErrAbsent) {\n\t\treturn Result{}, fmt.Errorf(\"look at %s: %w\", to", "if false {\n\t\treturn Result{}, fmt.Errorf(\"look at %s: %w\", to", false},
	{accepts, "another's object counts as accepted", "if object.Metadata[VersionMetadata] == \"\" {", "if false {", false},
	{accepts, "an object of any size", "if oldest.Size > MaxBytes {", "if false {", false},
	{accepts, "the largest is too large", "if oldest.Size > MaxBytes {", "if oldest.Size >= MaxBytes {", false},
	{accepts, "what is done is done again", "case tags[Tag] == TagValue:", "case false:", false},
	{accepts, "any tag means done", "case tags[Tag] == TagValue:", "case tags[Tag] != \"\":", false},
	{accepts, "a copy of any ETag and checksum", "!sameTag || !sameSum || !sameCRC {", "(!sameTag || !sameSum || !sameCRC) && false {", false},
	{accepts, "a copy of any size", "copied.Size != source.Size || ", "", false},
	{accepts, "a copy of any checksum", " || !sameSum", " || !sameSum && false", false},
	{accepts, "a copy of any CRC-64", " || !sameCRC", " || !sameCRC && false", false},
	{accepts, "a copy of any ETag", " || !sameTag", " || !sameTag && false", false},
	{accepts, "another's copy is announced", "if won := copied.Metadata[VersionMetadata]; won != first {", "if won := copied.Metadata[VersionMetadata]; false {", false},
	{accepts, "a failed copy passes", "if err != nil && !errors.Is(err, ErrExists) {", "if false {", false},
	{accepts, "a failed announcement passes", "if err := a.announce(ctx, source, copied); err != nil {", "if err := a.announce(ctx, source, copied); false {", false},
	{accepts, "a failed tag passes", "if err := a.Store.SetTags(ctx, key, first, withTag(tags, TagValue)); err != nil {", "if err := a.Store.SetTags(ctx, key, first, withTag(tags, TagValue)); false {", false},
	{accepts, "nothing is late", "hint.Version != \"\" && hint.Version != result.First", "false", false},
	{accepts, "the first is late", "hint.Version != result.First", "true", false},
	{accepts, "any bucket", "if hint.Bucket != a.Bucket {", "if false {", false},
	{accepts, "any key", "\tif err != nil {\n\t\treturn Result{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", "\tif false {\n\t\treturn Result{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", false},
	{accepts, "an upload without an entry is given up", "case errors.Is(err, ErrAbsent): // not uploaded through oncegate", "case false:", false},
	{accepts, "an entry that makes no sense passes", "ParseUploadEntry(body)\n\t\tif err != nil {", "ParseUploadEntry(body)\n\t\tif false {", false},
	{accepts, "an event of any key", "\tif err != nil {\n\t\treturn Event{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", "\tif false {\n\t\treturn Event{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", false},
	{accepts, "an event of what was not accepted", "if version == \"\" {\n\t\treturn Event{}", "if false {\n\t\treturn Event{}", false},
	{accepts, "an event without an answer", "if err != nil {\n\t\treturn Event{}, fmt.Errorf(\"look at %s: %w\", to, err)", "if false {\n\t\treturn Event{}, fmt.Errorf(\"look at %s: %w\", to, err)", false},

	{accepts, "5 GiB take parts", "inParts := source.Size > cmp", "inParts := source.Size >= cmp", false},
	{accepts, "the upload's own ETag is forgotten", "UploadETag: copied.Metadata[ETagMetadata]", "UploadETag: \"\"", false},
	{accepts, "what an earlier call copied besides stays", "if id := upload(tags); id != \"\" && decided {", "if false {\n\t\tid := \"\"", false},
	{copies, "every call copies everything", "p.Size == length(i) {", "false {", false},
	{copies, "a part of any size", "p.Size == length(i) {", "true {", false},
	{copies, "parts of another place", "int64(i)*size, length(i))", "0, length(i))", false},
	{copies, "after a fault all parts are tried", "for failed.Load() == nil && ctx.Err() == nil {", "for ctx.Err() == nil {", false},
	{copies, "the end of its time is a fault", "return nil, fmt.Errorf(\"%w: %w\", ErrUnfinished, ctx.Err())", "return nil, ctx.Err()", false},
	{copies, "an upload is not named by its version", "if err := a.Store.SetTags(ctx, source.Key, source.Version, withTag(tags, copying+id)); err != nil {", "if err := error(nil); err != nil {", false},
	{copies, "another's object is not looked for before it is completed", "\tif err == nil {\n\t\t// A consumer", "\tif false {\n\t\t// A consumer", false},
	{copies, "what is too late stays", "if errors.Is(err, ErrExists) {\n\t\tif err := a.drop", "if false {\n\t\tif err := a.drop", false},
	{copies, "an upload that is gone is not begun again", "if !errors.Is(err, ErrAbsent) {\n\t\t\treturn id, have, err", "if true {\n\t\t\treturn id, have, err", false},
	{copies, "every tag names an upload", "if id == tags[Tag] {", "if false {", false},
	{copies, "others' tags are lost", "all[name] = value", "_ = value", false},

	{hook, "the bucket is not asked", "if err != nil {\n\t\treturn \"\", 0, err\n\t}\n\tif event", "if false {\n\t\treturn \"\", 0, err\n\t}\n\tif event", false},
	{hook, "any version", "if event.Detail.Version != version {", "if false {", false},
	{hook, "any event", "if event.Source != \"oncegate\" || event.DetailType != \"oncegate.accepted\" {", "if false {", false},
	{hook, "the body is not signed", "\th.Write(body)\n", removed, false},
	{hook, "the time is not signed", "h.Write([]byte(strconv.FormatInt(at.Unix(), 10) + \".\"))", "_ = strconv.Itoa", false},
	{hook, "a redirect is followed", "return http.ErrUseLastResponse", "return nil", false},
	{hook, "any status has arrived", "if res.StatusCode < 200 || res.StatusCode > 299 {", "if res.StatusCode < 200 {", false},
	{hook, "a secret of any length", "if len(secret) < leastSecret {", "if false {", false},
	{hook, "a secret is kept for ever", "s.Now().Sub(s.read).Abs() < keepSecret", "true", false},
	{hook, "a secret one byte too short", "leastSecret = 16", "leastSecret = 15", false},
	{hook, "the least secret is too short", "leastSecret = 16", "leastSecret = 17", false},
	{hook, "a clock that goes back keeps a secret", "s.Now().Sub(s.read).Abs() < keepSecret", "s.Now().Sub(s.read) < keepSecret", false},
	{hook, "a secret is kept a moment too long", ".Abs() < keepSecret", ".Abs() <= keepSecret", false},
	{hook, "a secret is kept for a minute", "keepSecret = 5 * time.Minute", "keepSecret = time.Minute", false},
	{hook, "an older secret is used without an answer", "if err != nil {\n\t\treturn \"\", err\n\t}\n\tif len(secret)", "if err != nil {\n\t\treturn s.secret, nil\n\t}\n\tif len(secret)", false},
	{hook, "garbage is tried again", "if errors.Is(err, ErrGarbage) {", "if false {", false},
}
