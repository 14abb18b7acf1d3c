package stack_test

import "strings"

// reasons say why each permission is there, and with which setting. What belongs to one
// function alone begins with its job. The names of a deployment are in capitals.
var reasons = map[string]string{
	"Allow sts:AssumeRole for Service lambda.amazonaws.com":                                                     "Lambda runs it",
	"Allow sts:AssumeRole for Service edgelambda.amazonaws.com":                                                 "CloudFront runs copies of it",
	"Allow logs:CreateLogGroup on arn:aws:logs:*:${AWS::AccountId}:log-group:/aws/lambda/us-east-1.FUNCTION:*":  "its log, in the Region of each edge, where nobody has made a group",
	"Allow logs:CreateLogStream on arn:aws:logs:*:${AWS::AccountId}:log-group:/aws/lambda/us-east-1.FUNCTION:*": "its log",
	"Allow logs:PutLogEvents on arn:aws:logs:*:${AWS::AccountId}:log-group:/aws/lambda/us-east-1.FUNCTION:*":    "its log",
	"Allow logs:CreateLogStream on arn:aws:logs:REGION:${AWS::AccountId}:log-group:/aws/lambda/FUNCTION:*":      "its log, in a group that the template makes",
	"Allow logs:PutLogEvents on arn:aws:logs:REGION:${AWS::AccountId}:log-group:/aws/lambda/FUNCTION:*":         "its log",
	"Allow lambda:InvokeFunction on arn:aws:lambda:REGION:${AWS::AccountId}:function:NAME-regional-gate":        `"runtime": "regional": the stub asks it, and nothing else`,
	"Allow lambda:InvokeFunction on arn:aws:lambda:REGION:${AWS::AccountId}:function:NAME-regional-mint":        `"runtime": "regional": the stub asks it, and nothing else`,
	"Allow sqs:ReceiveMessage on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION":                                 "Lambda takes messages of its queue in its name",
	"Allow sqs:DeleteMessage on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION":                                  "Lambda removes what is done",
	"Allow sqs:GetQueueAttributes on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION":                             "Lambda looks how full the queue is",
	"Allow s3:ListBucket on arn:aws:s3:::BUCKET":                                                                "without it S3 answers 403 for what is absent, and every look-up would be unclear",
	"gate Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/valid/*":                                         "what the URL was minted for",
	"gate Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/expired/*":                                       "whether the URL is spent, and its own claim after a lost answer",
	"gate Allow s3:PutObject on arn:aws:s3:::BUCKET/signatures/expired/*":                                       "the claim",
	"gate Allow s3:ListBucketVersions on arn:aws:s3:::BUCKET if StringLike s3:prefix signatures/expired/*":      `which claim was the first, with "firstVersion": "listed"`,
	"gate Allow s3:PutObject on arn:aws:s3:::BUCKET/uploads/*":                                                  "the gate signs the upload with its own credentials",
	"gate Allow s3:PutObjectTagging on arn:aws:s3:::BUCKET/uploads/*":                                           `"tags": the upload gets those that its URL was minted with`,
	"gate Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/parts/*":                                         "which multipart upload belongs to the URL",
	"gate Allow s3:PutObject on arn:aws:s3:::BUCKET/signatures/parts/*":                                         "names the multipart upload of the URL, once",
	"gate Allow s3:ListMultipartUploadParts on arn:aws:s3:::BUCKET/uploads/*":                                   "the sum of the parts is compared with the limits before the claim",
	"gate Allow s3:AbortMultipartUpload on arn:aws:s3:::BUCKET/uploads/*":                                       "the client gives up, or another was first",
	"mint Allow s3:PutObject on arn:aws:s3:::BUCKET/signatures/valid/*":                                         "the URL that is minted",
	"mint Allow s3:GetObject on arn:aws:s3:::BUCKET/invitations/*":                                              "what an invitation allows, and which slots are taken",
	"mint Allow s3:PutObject on arn:aws:s3:::BUCKET/invitations/*":                                              "takes a slot of an invitation",
	"mint Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/expired/*":                                       "whether the URL of a slot is spent; what became of a URL, with ownerApi",
	"mint Allow s3:PutObject on arn:aws:s3:::BUCKET/signatures/expired/*":                                       "revokes the URL of a slot before the slot is given again; revokes for owners, with ownerApi",
	"mint Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/valid/*":                                         "ownerApi: whose URL it is, and what it allows",
	"mint Allow s3:GetObject on arn:aws:s3:::BUCKET/uploads/*":                                                  "ownerApi: what was stored (a HEAD)",
	"mint Allow s3:GetObject on arn:aws:s3:::BUCKET/keys/*":                                                     `"auth": "api-key": whether the key is known`,
	"mint Allow s3:PutObject on arn:aws:s3:::BUCKET/signatures/uploads/*":                                       "acceptance: leads from an upload back to its URL",
	"accept Allow s3:ListBucketVersions on arn:aws:s3:::BUCKET if StringLike s3:prefix uploads/*|accepted/*":    "which version was the first",
	"accept Allow s3:GetObjectVersion on arn:aws:s3:::BUCKET/uploads/*":                                         "copies the first version",
	"accept Allow s3:GetObjectVersionTagging on arn:aws:s3:::BUCKET/uploads/*":                                  "whether that was announced",
	"accept Allow s3:PutObjectVersionTagging on arn:aws:s3:::BUCKET/uploads/*":                                  "notes that it was announced, or the copy in parts that is under way",
	"accept Allow s3:GetObject on arn:aws:s3:::BUCKET/accepted/*":                                               "whether it was accepted before",
	"accept Allow s3:GetObjectVersion on arn:aws:s3:::BUCKET/accepted/*":                                        "what was accepted, after a consumer has removed it",
	"accept Allow s3:PutObject on arn:aws:s3:::BUCKET/accepted/*":                                               "the accepted copy",
	"accept Allow s3:PutObjectTagging on arn:aws:s3:::BUCKET/accepted/*":                                        "the copy has the tags of the upload",
	"accept Allow s3:ListMultipartUploadParts on arn:aws:s3:::BUCKET/accepted/*":                                "goes on with a copy in parts",
	"accept Allow s3:AbortMultipartUpload on arn:aws:s3:::BUCKET/accepted/*":                                    "drops a copy in parts that came too late",
	"accept Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/uploads/*":                                     "who minted the URL of the upload",
	"accept Allow sqs:ChangeMessageVisibility on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION":                 "goes on at once with a copy that one call did not end",
	"accept Allow events:PutEvents on arn:aws:events:REGION:${AWS::AccountId}:event-bus/default if StringEquals events:detail-type oncegate.accepted if StringEquals events:source oncegate": "the announcement, and no other event",
	"webhook Allow s3:ListBucketVersions on arn:aws:s3:::BUCKET if StringLike s3:prefix accepted/*":                                                                                          "what was accepted, after a consumer has removed it",
	"webhook Allow s3:GetObject on arn:aws:s3:::BUCKET/accepted/*":                                                                                                                           "posts what the bucket says, not what the event says",
	"webhook Allow s3:GetObjectVersion on arn:aws:s3:::BUCKET/accepted/*":                                                                                                                    "the same of an older version",
	"webhook Allow s3:GetObject on arn:aws:s3:::BUCKET/signatures/uploads/*":                                                                                                                 "who minted the URL of the upload",
	"webhook Allow sqs:ChangeMessageVisibility on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION":                                                                                             "waits longer after each failure",
	"webhook Allow ssm:GetParameter on arn:aws:ssm:REGION:${AWS::AccountId}:parameter/oncegate/webhook":                                                                                      "the key of the signatures",

	"gate Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys url#*":                                                                                                                                     `"index": "dynamodb": spends the URL; names its multipart upload. The request names all attributes of the URL`,
	"gate Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys url#*":                                                                                                                                        "what the URL was minted for, whether it is spent, its own claim after a lost answer",
	"gate Allow s3:ListBucket on arn:aws:s3:::BUCKET if StringLike s3:prefix uploads/*":                                                                                                                                                                                                        "whether an upload in parts was completed, after a lost answer",
	"mint Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringEquals dynamodb:Attributes p|k|valid|expires|least|most|types|sole|sha|tagged|added|forget if ForAllValues:StringLike dynamodb:LeadingKeys url#*":                    "the URL that is minted, and no claim on it",
	"mint Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringEquals dynamodb:Attributes p|k|claim|nonce|why|valid if ForAllValues:StringLike dynamodb:LeadingKeys url#*":                                                          "revokes the URL of a slot before the slot is given again; revokes for owners, with ownerApi",
	"mint Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringEquals dynamodb:Attributes p|k|claim|nonce|why if ForAllValues:StringLike dynamodb:LeadingKeys url#* if StringEqualsIfExists dynamodb:Select SPECIFIC_ATTRIBUTES":       "whether the URL of a slot is spent",
	"mint Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringEquals dynamodb:Attributes p|k|claim|nonce|why|valid if ForAllValues:StringLike dynamodb:LeadingKeys url#* if StringEqualsIfExists dynamodb:Select SPECIFIC_ATTRIBUTES": "ownerApi: whose URL it is, what it allows, and what became of it",
	"mint Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys invitation#*|slots#*":                                                                                                                         "what an invitation allows, and what a slot says",
	"mint Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys invitation#*|slots#*":                                                                                                                      "takes a slot of an invitation; makes and revokes invitations for owners",
	"mint Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys day#*":                                                                                                                                     "counts what a key mints in a day",
	"mint Allow dynamodb:Query on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys slots#*":                                                                                                                                        "which slots are taken",
	"mint Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys key#*":                                                                                                                                        `"auth": "api-key": whether the key is known`,
	"mint Allow dynamodb:UpdateItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys upload#*":                                                                                                                                  "acceptance: leads from an upload back to its URL",
	"accept Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys upload#*":                                                                                                                                   "who minted the URL of the upload",
	"webhook Allow dynamodb:GetItem on arn:aws:dynamodb:REGION:${AWS::AccountId}:table/BUCKET-index if ForAllValues:StringLike dynamodb:LeadingKeys upload#*":                                                                                                                                  "who minted the URL of the upload",

	"bucket Deny s3:* on arn:aws:s3:::BUCKET if Bool aws:SecureTransport false for AWS *":                                            "HTTPS only",
	"bucket Deny s3:* on arn:aws:s3:::BUCKET/* if Bool aws:SecureTransport false for AWS *":                                          "HTTPS only",
	"bucket Deny s3:* on arn:aws:s3:::BUCKET if NumericLessThan s3:TlsVersion 1.2 for AWS *":                                         "no old TLS",
	"bucket Deny s3:* on arn:aws:s3:::BUCKET/* if NumericLessThan s3:TlsVersion 1.2 for AWS *":                                       "no old TLS",
	"bucket Deny s3:PutObject on arn:aws:s3:::BUCKET/signatures/expired/* if Null s3:if-none-match true for AWS *":                   "a claim over another is not even possible by mistake",
	"bucket Deny s3:PutObject on arn:aws:s3:::BUCKET/signatures/parts/* if Null s3:if-none-match true for AWS *":                     "one multipart upload for each URL",
	"bucket Deny s3:DeleteObject on arn:aws:s3:::BUCKET/signatures/* for AWS *":                                                      "a claim that is deleted makes its URL good again",
	"bucket Deny s3:PutObject on arn:aws:s3:::BUCKET/invitations/* if Null s3:if-match true if Null s3:if-none-match true for AWS *": "a slot is taken by one",
	"bucket Deny s3:DeleteObject on arn:aws:s3:::BUCKET/invitations/* for AWS *":                                                     "a slot that is deleted is free again",
	"bucket Deny s3:PutObject on arn:aws:s3:::BUCKET/accepted/* if ArnNotEquals aws:PrincipalArn ROLE for AWS *":                     "acceptance: only its function accepts",

	"queue Deny sqs:* on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION if Bool aws:SecureTransport false for AWS *":                                                                                                "HTTPS only",
	"queue Allow sqs:SendMessage on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION if ArnEquals aws:SourceArn arn:aws:s3:::BUCKET if StringEquals aws:SourceAccount ${AWS::AccountId} for Service s3.amazonaws.com": "acceptance: the bucket tells what was stored",
	"queue Allow sqs:SendMessage on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION if ArnEquals aws:SourceArn arn:aws:events:REGION:${AWS::AccountId}:rule/NAME-scan for Service events.amazonaws.com":              "acceptance: the bus tells how scans end",
	"queue Allow sqs:SendMessage on arn:aws:sqs:REGION:${AWS::AccountId}:FUNCTION if ArnEquals aws:SourceArn arn:aws:events:REGION:${AWS::AccountId}:rule/NAME-webhook for Service events.amazonaws.com":           "webhook: the bus tells what was accepted",
}

// explained is the line with its reason, and marks the reason as used. A line that has none
// begins with NO REASON. Who is bucket, queue or the name of a function.
func explained(v variant, who, name, line string, used map[string]bool) string {
	general := strings.NewReplacer(
		":"+name+" ", ":FUNCTION ", "/"+name+":", "/FUNCTION:", "."+name+":", ".FUNCTION:",
		":"+v.conf.Region+":", ":REGION:", ":"+v.conf.Deploy.Name+"-", ":NAME-", "/"+v.conf.Deploy.Name+"-", "/NAME-",
		"${AcceptRole3F4470E9.Arn}", "ROLE",
	).Replace(strings.ReplaceAll(line, v.conf.Bucket, "BUCKET") + " ")
	general = strings.TrimSpace(general)
	for _, key := range []string{who + " " + general, general} {
		if why := reasons[key]; why != "" {
			used[key] = true
			return line + "  # " + why
		}
	}
	return "NO REASON for " + who + " " + general
}
