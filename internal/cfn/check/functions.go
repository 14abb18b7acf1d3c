package check

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/layout"
)

func checkFunctions(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	var handlers []string
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		f := d.Functions[name]
		handlers = append(handlers, f.Handler)
		if f.Region != "us-east-1" {
			broken("%s is in %s: Lambda@Edge functions are made in us-east-1", name, f.Region)
		}
		if f.MemorySize != conf.Deploy.Memory || f.Timeout != conf.Deploy.Timeout || f.Runtime != conf.Deploy.NodeRuntime {
			broken("%s has %d MB, %d s, %s; the settings say %d MB, %d s, %s", name, f.MemorySize, f.Timeout, f.Runtime,
				conf.Deploy.Memory, conf.Deploy.Timeout, conf.Deploy.NodeRuntime)
		}
		if len(f.Environment.Variables) != 0 {
			broken("%s has environment variables, which Lambda@Edge refuses", name)
		}
		if f.LoggingConfig.LogFormat != "JSON" {
			broken("%s does not log JSON: refusals would not be counted", name)
		}
		packed, err := config.Load(filepath.Join(f.Directory, "config.json"))
		if err != nil {
			broken("%s: %v", name, err)
		} else if !reflect.DeepEqual(packed, conf) {
			broken("%s was packed with other settings", name)
		}
	}
	want := []string{"index.gate", "index.mint"}
	if conf.Page.On {
		want = append(want, pageHandler)
	}
	if slices.Sort(handlers); !slices.Equal(handlers, want) {
		broken("handlers are %v, want %v", handlers, want)
	}
}

// pageHandler answers for the page and needs nothing of the bucket.
const pageHandler = "page.handler"

// permissions are exactly what a function at the edge must be allowed.
func permissions(f *cfn.Function, conf config.Config) []string {
	logs := "arn:aws:logs:*:${AWS::AccountId}:log-group:/aws/lambda/us-east-1." + f.FunctionName + ":*"
	lines := []string{
		"Allow logs:CreateLogGroup on " + logs, "Allow logs:CreateLogStream on " + logs, "Allow logs:PutLogEvents on " + logs,
	}
	if f.Handler == pageHandler {
		return lines
	}
	function := strings.TrimPrefix(f.Handler, "index.")
	if conf.Deploy.Runtime == config.RuntimeRegional {
		return append(lines, "Allow lambda:InvokeFunction on arn:aws:lambda:"+conf.Region+":${AWS::AccountId}:function:"+conf.Deploy.RegionalName(function))
	}
	return append(lines, decisionPermissions(function, conf)...)
}

// keyPermissions are what somebody needs who reads or writes a bucket with a KMS key of the
// account. S3 asks KMS in their name:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
func keyPermissions(conf config.Config, actions ...string) []string {
	key := conf.Deploy.KMSKey
	if key == "" || key == config.AWSManagedKey {
		return nil
	}
	var lines []string
	for _, action := range actions {
		lines = append(lines, "Allow "+action+" on "+key+" if StringEquals kms:ViaService s3."+conf.Region+".amazonaws.com")
	}
	return lines
}

// decisionPermissions are what the decisions of mint or gate need.
func decisionPermissions(function string, conf config.Config) []string {
	lines := append(indexPermissions(function, conf), keyPermissions(conf, "kms:GenerateDataKey", "kms:Decrypt")...)
	if function == "gate" && len(conf.Tags) > 0 {
		lines = append(lines, "Allow s3:PutObjectTagging on arn:aws:s3:::"+conf.Bucket+"/"+layout.Uploads+"*")
	}
	return lines
}

func indexPermissions(function string, conf config.Config) []string {
	if conf.Index == config.IndexDynamoDB {
		return tablePermissions(function, conf)
	}
	arn := "arn:aws:s3:::" + conf.Bucket
	var lines []string
	if function == "mint" {
		lines = append(lines, "Allow s3:PutObject on "+arn+"/"+layout.ValidEntries+"*",
			"Allow s3:GetObject on "+arn+"/"+layout.Invitations+"*", "Allow s3:PutObject on "+arn+"/"+layout.Invitations+"*",
			"Allow s3:GetObject on "+arn+"/"+layout.ExpiredEntries+"*", "Allow s3:PutObject on "+arn+"/"+layout.ExpiredEntries+"*",
			"Allow s3:ListBucket on "+arn)
		if conf.Acceptance.On {
			lines = append(lines, "Allow s3:PutObject on "+arn+"/"+layout.UploadEntries+"*")
		}
		if conf.Auth.Kind == config.AuthAPIKey {
			lines = append(lines, "Allow s3:GetObject on "+arn+"/"+layout.APIKeys+"*")
		}
		if conf.OwnerAPI {
			lines = append(lines, "Allow s3:GetObject on "+arn+"/"+layout.ValidEntries+"*", "Allow s3:GetObject on "+arn+"/"+layout.Uploads+"*")
		}
		return lines
	}
	lines = append(lines,
		"Allow s3:GetObject on "+arn+"/"+layout.ValidEntries+"*", "Allow s3:GetObject on "+arn+"/"+layout.ExpiredEntries+"*",
		"Allow s3:PutObject on "+arn+"/"+layout.ExpiredEntries+"*", "Allow s3:PutObject on "+arn+"/"+layout.Uploads+"*",
		"Allow s3:ListBucket on "+arn,
		"Allow s3:ListBucketVersions on "+arn+" if StringLike s3:prefix "+layout.ExpiredEntries+"*",
		"Allow s3:GetObject on "+arn+"/"+layout.PartsEntries+"*", "Allow s3:PutObject on "+arn+"/"+layout.PartsEntries+"*",
		"Allow s3:ListMultipartUploadParts on "+arn+"/"+layout.Uploads+"*", "Allow s3:AbortMultipartUpload on "+arn+"/"+layout.Uploads+"*")
	return lines
}

func checkPermissions(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	roles := map[*cfn.Role]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
		f := d.Functions[name]
		if roles[f.Role] {
			broken("%s shares its role with another function", name)
		}
		roles[f.Role] = true
		compare(permissions(f, conf), f.Role.Permissions(),
			func(line string) { broken("%s lacks: %s", name, line) },
			func(line string) { broken("%s has what it does not need: %s", name, line) })
		compare([]string{"Allow sts:AssumeRole for Service edgelambda.amazonaws.com", "Allow sts:AssumeRole for Service lambda.amazonaws.com"},
			f.Role.AssumeRolePolicyDocument.Lines(),
			func(line string) { broken("role of %s lacks trust: %s", name, line) },
			func(line string) { broken("role of %s trusts too much: %s", name, line) })
	}
	for _, f := range d.Regional {
		roles[f.Role] = true
	}
	if len(d.Roles) != len(roles) || len(roles) != len(d.Functions)+len(d.Regional) {
		broken("%d roles for %d functions", len(d.Roles), len(d.Functions)+len(d.Regional))
	}
}
