package main

const (
	enable   = "internal/onetime/enable.go"
	operator = "internal/onetime/operator.go"
	keeper   = "internal/onetime/keeper.go"
	owner    = "internal/onetime/owner.go"

	credential = "internal/onetime/credential.go"
)

// operatorMutants are the rules of revoke and enable.
var operatorMutants = []mutant{
	{keeper, "a revoke of what is spent claims", "case err == nil, errors.Is(err, ErrDeleted):\n\t\treturn false, alreadySpent(reason)", "case err == nil, errors.Is(err, ErrDeleted):\n\t\treturn true, nil", true},
	{keeper, "a revoke after an unclear look", "case !errors.Is(err, ErrAbsent):\n\t\treturn false, err\n\tcase !minted:", "case !minted:", false},
	{keeper, "a revoke of what was never minted", "case !minted:", "case false:", true},
	{keeper, "a revoke claims for an upload", "ExpiredEntry{Reason: Revoked}, Attempt", "ExpiredEntry{Reason: Used}, Attempt", true},
	{keeper, "a lost claim revokes", "case Used, Revoked: // by", "case Used, Revoked:\n\t\treturn true, nil\n\tcase Internal: // by", true},
	{keeper, "a used URL was revoked", "return &StateError{StateUsed, \"the URL was used already\"}", "return nil", true},
	{keeper, "an unclear revoke was one", "return false, fmt.Errorf(\"it is not known whether the URL is revoked: %w\", err)", "return true, nil", true},

	{operator, "a revoke after an unclear read", "if err != nil && !errors.Is(err, ErrAbsent) {\n\t\treturn false, err", "if false {\n\t\treturn false, err", false},

	{owner, "everybody owns everything", "if !by.owns(entry) {", "if false {", false},
	{credential, "nobody owns what nobody minted", "e.By != \"\" && ", removed, false},
	{credential, "nobody is an owner", "if c.Kind == \"\" {\n\t\treturn false", "if false {\n\t\treturn false", false},
	{credential, "owners by label", "return by.owner() == c.owner()", "return by.Label == c.Label", false},
	{credential, "owners of one kind", "return by.owner() == c.owner()", "return by.ID == c.ID", false},
	{credential, "nothing is handed over", "return c.Kind + \":\" + c.Owner", "return c.Kind + \":\" + c.ID", false},
	{credential, "by does not say whose it is", "c.ID + c.handedOver() +", "c.ID +", false},
	{credential, "a new key owns what its label did", " && !e.Created.Before(c.Since)", removed, false},
	{credential, "an id of any length", "isLowerHex(id, CredentialDigits) &&", "id != \"\" &&", false},
	{credential, "any kind", "(kind == CredentialKey || kind == CredentialToken || kind == CredentialInvitation)", "kind != \"\"", false},
	{owner, "a revoke does not ask whose it is", "if _, err := k.ownEntry(ctx, by, id); err != nil {", "if _, err := k.readEntry(ctx, id); err != nil {", false},
	{owner, "a status does not ask whose it is", "entry, err := k.ownEntry(ctx, by, id)", "entry, err := k.readEntry(ctx, id)", false},
	{owner, "an owner has all the time there is", "deadline: deadline,", removed, false},
	{owner, "an owner's request has all the time there is", "read:     lookupLimit,", "read:     operatorLimit,", false},
	{owner, "an owner's claim has all the time there is", "write:    writeLimit,", "write:    operatorLimit,", false},
	{owner, "what was used was never there", "&Refusal{Reason: Used, ID: id}", "&Refusal{Reason: Unknown, ID: id}", false},
	{owner, "an unclear answer is that there is none", "if errors.Is(err, ErrAbsent) {", "if true {", false},
	{owner, "an unclear revoke does not say so", "if refusal.Reason == ClaimUnknown {", "if false {", false},

	{enable, "enable what was never minted", "return Enabled{}, &StateError{StateUnknown, \"the URL is not in the index and cannot be enabled: mint a new one\"}", "entry.Expires = o.Clock.Now().Add(time.Hour)", false},
	{enable, "enable what has expired", "case !o.Clock.Now().Before(entry.Expires):", "case false:", false},
	{enable, "enable, whatever is stored", "if !stored && !errors.Is(objectErr, ErrAbsent) {", "if false {", false},
	{enable, "enable what is not spent", "case len(versions) == 0:\n\t\treturn Enabled{}, &StateError{StateMinted, \"the URL is not spent: there is nothing to enable\"}\n", removed, true},
	{enable, "enable another claim than this one", "case options.Claim != \"\" && !slices", "case false && !slices", true},
	{enable, "replace unasked", "case stored && !options.Replace:", "case false:", true},
	{enable, "the object stays in sight", "if stored {\n\t\tif err := o.hideObject", "if false {\n\t\tif err := o.hideObject", false},
	{enable, "an object that was not hidden", "object.ETag); err != nil {", "object.ETag); false {", false},
	{enable, "a deletion that was not made", "if err != nil {\n\t\t\treturn Enabled{}, uncertain(fmt.Errorf(\"remove version", "if false {\n\t\t\treturn Enabled{}, uncertain(fmt.Errorf(\"remove version", true},
	{enable, "one version stays", "for _, v := range versions {\n\t\terr := o.keeper().repeat", "for _, v := range versions[:len(versions)-1] {\n\t\terr := o.keeper().repeat", true},
	{enable, "it does not look whether somebody claimed", "done.Spent = reason", "_ = reason", true},
	{enable, "delete by an id that comes again", "if v.ID == \"\" || v.ID == \"null\" {", "if v.ID == \"null\" {", false},
	{enable, "delete by the id null", "if v.ID == \"\" || v.ID == \"null\" {", "if v.ID == \"\" {", false},
	{enable, "delete markers go last", "case a.DeleteMarker:\n\t\t\treturn -1\n\t\t}\n\t\treturn 1", "case a.DeleteMarker:\n\t\t\treturn 1\n\t\t}\n\t\treturn -1", false},
}
