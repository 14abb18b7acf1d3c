package main

const mover = "internal/onetime/mover.go"

// moveMutants are what keeps a URL from passing twice, or from being lost, when it is moved from
// one index to another.
var moveMutants = []mutant{
	{mover, "a URL is not claimed in the old index", "spent, err := m.take(ctx, id)", "spent, err := (*ExpiredEntry)(nil), error(nil)", true},
	{mover, "any claim is a mover's", "case claim.Nonce == moveNonce(id):\n\t\treturn nil, nil", "case claim.Nonce != \"\":\n\t\treturn nil, nil", true},
	{mover, "no claim is a mover's", "case claim.Nonce == moveNonce(id):\n\t\treturn nil, nil", "case false:\n\t\treturn nil, nil", true},
	{mover, "a claim is not copied at once", "if spent != nil {\n\t\tclaim = spent.Marshal()", "if false {\n\t\tclaim = spent.Marshal()", true},
	{mover, "a claim is not copied in order", "if spent != nil {\n\t\terr := m.repeat", "if false {\n\t\terr := m.repeat", true},
	{mover, "a claim that cannot be copied is left behind", "if err != nil && !errors.Is(err, ErrExists) {\n\t\t\treturn fmt.Errorf(\"copy the claim: %w\", err)", "if false {\n\t\t\treturn fmt.Errorf(\"copy the claim: %w\", err)", false},
	{mover, "a claim that was copied is an error", "if err != nil && !errors.Is(err, ErrExists) {\n\t\t\treturn fmt.Errorf(\"copy the claim: %w\", err)", "if err != nil {\n\t\t\treturn fmt.Errorf(\"copy the claim: %w\", err)", false},
	{mover, "what was moved before is claimed again", "case err == nil:\n\t\treturn nil // moved before", "case false:\n\t\treturn nil // moved before", false},
	{mover, "what was moved before is an error", "if err != nil && !errors.Is(err, ErrExists) {\n\t\treturn fmt.Errorf(\"write all entries", "if err != nil {\n\t\treturn fmt.Errorf(\"write all entries", false},
	{mover, "what could not be written was moved", "if err != nil && !errors.Is(err, ErrExists) {\n\t\treturn fmt.Errorf(\"write all entries", "if false {\n\t\treturn fmt.Errorf(\"write all entries", false},
	{mover, "a hidden claim is none", "case errors.Is(err, ErrDeleted):\n\t\t// By", "case false:\n\t\t// By", true},
	{mover, "a URL goes back to where it came from", "if err == nil && came {", "if err == nil && came && false {", false},
	{mover, "what came and was spent stays", "case err == nil, errors.Is(err, ErrDeleted):\n\t\treturn MovedSpent, nil", "case false:\n\t\treturn MovedSpent, nil", false},
	{mover, "a claim of the new index is not read", "return false, fmt.Errorf(\"the new index: %w\", err)", "return false, nil", false},
	{mover, "what is over is moved", "if !m.Clock.Now().Before(entry.Expires) {", "if false {", false},
	{mover, "the parts stay behind, at once", "return to.WriteAtOnce(ctx, limit, id, body, claim, parts)", "return to.WriteAtOnce(ctx, limit, id, body, claim, parts[:0:0])", false},
	{mover, "the parts stay behind, in order", "if err == nil && parts != nil {", "if err == nil && false {", false},
	{mover, "the way back stays behind", "if err == nil && body != nil {", "if err == nil && false {", false},
	{mover, "a look moves", "switch err := m.headExpired(ctx, id); {\n\tcase errors.Is(err, ErrAbsent):\n\t\treturn MovedGood, nil", "switch _, err := m.take(ctx, id); {\n\tcase errors.Is(err, ErrAbsent):\n\t\treturn MovedGood, nil", false},

	{tableURLs, "all of a URL over what is there", "Values: values, Condition: \"attribute_not_exists(valid)\",", "Values: values,", false},
	{tableURLs, "a second URL in its place is written", "return x.write(ctx, op, limit, onetime.ErrExists, Update{", "return x.write(ctx, op, limit, nil, Update{", false},
	{tableURLs, "the parts are forgotten", "if parts != nil {", "if false {", false},
	{tableURLs, "the claim is forgotten", "if err == nil && claim != nil {", "if err == nil && false {", false},
}
