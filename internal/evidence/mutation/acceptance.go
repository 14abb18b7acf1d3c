package main

const (
	accepts = "internal/acceptance/acceptance.go"
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
	{accepts, "5 GiB are too many", "if oldest.Size > MaxBytes {", "if oldest.Size >= MaxBytes {", false},
	{accepts, "what is done is done again", "case tags[Tag] == TagValue:", "case false:", false},
	{accepts, "any tag means done", "case tags[Tag] == TagValue:", "case tags[Tag] != \"\":", false},
	{accepts, "a copy of any ETag and checksum", "!sameTag || !sameSum {", "(!sameTag || !sameSum) && false {", false},
	{accepts, "a copy of any size", "copied.Size != source.Size || ", "", false},
	{accepts, "a copy of any checksum", " || !sameSum", " || !sameSum && false", false},
	{accepts, "a copy of any ETag", " || !sameTag", " || !sameTag && false", false},
	{accepts, "another's copy is announced", "if won := copied.Metadata[VersionMetadata]; won != first {", "if won := copied.Metadata[VersionMetadata]; false {", false},
	{accepts, "a failed copy passes", "if err != nil && !errors.Is(err, ErrExists) {", "if false {", false},
	{accepts, "a failed announcement passes", "if err := a.announce(ctx, source, copied); err != nil {", "if err := a.announce(ctx, source, copied); false {", false},
	{accepts, "a failed tag passes", "if err := a.Store.SetTags(ctx, key, first, all); err != nil {", "if err := a.Store.SetTags(ctx, key, first, all); false {", false},
	{accepts, "others' tags are lost", "all[name] = value", "_ = value", false},
	{accepts, "nothing is late", "hint.Version != \"\" && hint.Version != result.First", "false", false},
	{accepts, "the first is late", "hint.Version != result.First", "true", false},
	{accepts, "any bucket", "if hint.Bucket != a.Bucket {", "if false {", false},
	{accepts, "any key", "\tif err != nil {\n\t\treturn Result{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", "\tif false {\n\t\treturn Result{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", false},
	{accepts, "an upload without an entry is given up", "case errors.Is(err, ErrAbsent): // not uploaded through oncegate", "case false:", false},
	{accepts, "an entry that makes no sense passes", "ParseUploadEntry(body)\n\t\tif err != nil {", "ParseUploadEntry(body)\n\t\tif false {", false},
	{accepts, "an event of any key", "\tif err != nil {\n\t\treturn Event{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", "\tif false {\n\t\treturn Event{}, fmt.Errorf(\"%w: %w\", ErrForeign, err)", false},
	{accepts, "an event of what was not accepted", "if version == \"\" {\n\t\treturn Event{}", "if false {\n\t\treturn Event{}", false},
	{accepts, "an event without an answer", "if err != nil {\n\t\treturn Event{}, fmt.Errorf(\"look at %s: %w\", to, err)", "if false {\n\t\treturn Event{}, fmt.Errorf(\"look at %s: %w\", to, err)", false},

	{hook, "the bucket is not asked", "if err != nil {\n\t\treturn \"\", 0, err\n\t}\n\tif event", "if false {\n\t\treturn \"\", 0, err\n\t}\n\tif event", false},
	{hook, "any version", "if event.Detail.Version != version {", "if false {", false},
	{hook, "any event", "if event.Source != \"oncegate\" || event.DetailType != \"oncegate.accepted\" {", "if false {", false},
	{hook, "the body is not signed", "\th.Write(body)\n", removed, false},
	{hook, "the time is not signed", "h.Write([]byte(strconv.FormatInt(at.Unix(), 10) + \".\"))", "_ = strconv.Itoa", false},
	{hook, "a redirect is followed", "return http.ErrUseLastResponse", "return nil", false},
	{hook, "any status has arrived", "if res.StatusCode < 200 || res.StatusCode > 299 {", "if res.StatusCode < 200 {", false},
	{hook, "a secret of any length", "if len(secret) < leastSecret {", "if false {", false},
	{hook, "a secret is kept for ever", "s.Now().Sub(s.read).Abs() < keepSecret", "true", false},
	{hook, "garbage is tried again", "if errors.Is(err, ErrGarbage) {", "if false {", false},
}
