// Package dynamo keeps the signature index, API keys and invitations in a DynamoDB table: it
// says which request each operation is and what each answer means. The requests are carried by
// a Table: package dynamowire at the edge, package dynamosdk everywhere else.
//
// Items, by partition key and sort key, where x is the first character of the sort key:
//
//	p               k        is
//	url#<x>         <hash>   a URL: its valid entry, its claim, its multipart upload
//	upload#<x>      <name>   the way back from an upload to its URL
//	key#<x>         <id>     the record of an API key
//	invitation#<x>  <id>     the record of an invitation
//	slots#<id>      <n>      a slot of it
//
// There are sixteen partitions of each kind, so that a list is in the order of the names, as
// it is on S3, and no partition gets all writes.
//
// Attributes of a URL. All of them but the claim and the upload are written by the mint, once:
//
//	valid                     body of the valid entry
//	expires min max types only sha added    what it demands (onetime.Demands), to be compared
//	claim nonce why           body of the expired entry, its nonce and its reason
//	parts                     body of the parts entry
//	ttl                       when DynamoDB may delete the item
package dynamo
