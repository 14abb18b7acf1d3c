package layout

// Where everything lies in the table, with "index": "dynamodb". Package dynamo says what an
// item is.
const (
	TablePartitionKey = "p"
	TableSortKey      = "k"
	// TableTimeToLive is the attribute that says when DynamoDB may delete an item.
	TableTimeToLive = "forget"

	// What the partition keys of the items begin with.
	URLPartitions        = "url#"
	UploadPartitions     = "upload#"
	APIKeyPartitions     = "key#"
	InvitationPartitions = "invitation#"
	SlotPartitions       = "slots#"
	DayPartitions        = "day#"
)

// ValidAttribute is the one with the body of the valid entry.
const ValidAttribute = "valid"

// Attributes of a URL's item besides its keys, for permissions.
var (
	// MintedAttributes are all that a mint writes.
	MintedAttributes = []string{ValidAttribute, "expires", "least", "most", "types", "sole", "sha", "tagged", "added", TableTimeToLive}
	// ClaimAttributes are the expired entry.
	ClaimAttributes = []string{"claim", "nonce", "why"}
)
