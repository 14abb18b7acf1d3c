package stack

import (
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/jsii-runtime-go"

	"oncegate/internal/config"
)

// managedRules are AWS's rule groups for /url. They must not apply to uploads: the common
// rule set blocks bodies over 8 KB and queries over 2,048 bytes:
// https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
var managedRules = []string{"AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"}

// tooManyBody is the body of a 429. WAF has one, whatever the client accepts.
// openapi.yaml documents it.
const tooManyBody = `{"status":429,"reason":"rate","message":"Too Many Requests: this address or key has asked for too many URLs in five minutes."}`

// rateWindow is for how many seconds requests are counted.
const rateWindow = 300

// newWebACL guards the mint: it limits how often one address or API key may mint, and blocks
// what AWS knows to be bad. Everything else passes. The gate refuses garbage without
// asking S3.
func newWebACL(stack awscdk.Stack, conf config.Config) awswafv2.CfnWebACL {
	rules := []interface{}{rateRule("url-rate", 0, &awswafv2.CfnWebACL_RateBasedStatementProperty{
		AggregateKeyType:    jsii.String("IP"),
		EvaluationWindowSec: jsii.Number(rateWindow),
		Limit:               jsii.Number(conf.Deploy.WAFRate),
		ScopeDownStatement:  onlyURL(),
	})}
	if conf.Auth.Kind == config.AuthAPIKey {
		// One key counts from all addresses together. Requests without the header are not
		// counted here:
		// https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based-aggregation-options.html
		rules = append(rules, rateRule("key-rate", 1, &awswafv2.CfnWebACL_RateBasedStatementProperty{
			AggregateKeyType: jsii.String("CUSTOM_KEYS"),
			CustomKeys: &[]interface{}{&awswafv2.CfnWebACL_RateBasedStatementCustomKeyProperty{
				Header: &awswafv2.CfnWebACL_RateLimitHeaderProperty{
					Name: jsii.String("x-api-key"),
					TextTransformations: &[]interface{}{
						&awswafv2.CfnWebACL_TextTransformationProperty{Priority: jsii.Number(0), Type: jsii.String("NONE")},
					},
				},
			}},
			EvaluationWindowSec: jsii.Number(rateWindow),
			Limit:               jsii.Number(conf.Deploy.WAFRate),
			ScopeDownStatement:  onlyURL(),
		}))
	}
	first := len(rules)
	for i, name := range managedRules {
		rules = append(rules, &awswafv2.CfnWebACL_RuleProperty{
			Name:           jsii.String(name),
			Priority:       jsii.Number(first + i),
			OverrideAction: &awswafv2.CfnWebACL_OverrideActionProperty{None: map[string]interface{}{}},
			Statement: &awswafv2.CfnWebACL_StatementProperty{
				ManagedRuleGroupStatement: &awswafv2.CfnWebACL_ManagedRuleGroupStatementProperty{
					VendorName: jsii.String("AWS"), Name: jsii.String(name), ScopeDownStatement: onlyURL(),
				},
			},
			VisibilityConfig: visibility(name),
		})
	}
	return awswafv2.NewCfnWebACL(stack, jsii.String("WebACL"), &awswafv2.CfnWebACLProps{
		Name:          jsii.String(conf.Deploy.Name),
		Scope:         jsii.String("CLOUDFRONT"),
		DefaultAction: &awswafv2.CfnWebACL_DefaultActionProperty{Allow: map[string]interface{}{}},
		Rules:         &rules,
		CustomResponseBodies: map[string]interface{}{
			"rate": &awswafv2.CfnWebACL_CustomResponseBodyProperty{ContentType: jsii.String("APPLICATION_JSON"), Content: jsii.String(tooManyBody)},
		},
		VisibilityConfig: visibility(conf.Deploy.Name),
	})
}

// rateRule makes a rule that refuses requests over a rate.
func rateRule(name string, priority int, statement *awswafv2.CfnWebACL_RateBasedStatementProperty) *awswafv2.CfnWebACL_RuleProperty {
	return &awswafv2.CfnWebACL_RuleProperty{
		Name:     jsii.String(name),
		Priority: jsii.Number(priority),
		Action: &awswafv2.CfnWebACL_RuleActionProperty{Block: &awswafv2.CfnWebACL_BlockActionProperty{
			CustomResponse: &awswafv2.CfnWebACL_CustomResponseProperty{
				ResponseCode:          jsii.Number(429),
				CustomResponseBodyKey: jsii.String("rate"),
				ResponseHeaders: &[]interface{}{
					customHeader("cache-control", "no-store"),
					// WAF counts every few seconds, over the whole window.
					customHeader("retry-after", strconv.Itoa(rateWindow)),
				},
			},
		}},
		Statement:        &awswafv2.CfnWebACL_StatementProperty{RateBasedStatement: statement},
		VisibilityConfig: visibility(name),
	}
}

func customHeader(name, value string) *awswafv2.CfnWebACL_CustomHTTPHeaderProperty {
	return &awswafv2.CfnWebACL_CustomHTTPHeaderProperty{Name: jsii.String(name), Value: jsii.String(value)}
}

// onlyURL matches what CloudFront routes to the mint. Like CloudFront it normalizes the
// path first. An upload's path begins with /uploads/.
func onlyURL() *awswafv2.CfnWebACL_StatementProperty {
	return &awswafv2.CfnWebACL_StatementProperty{
		OrStatement: &awswafv2.CfnWebACL_OrStatementProperty{
			Statements: &[]interface{}{path("STARTS_WITH", "/url"), path("STARTS_WITH", "/invitation"), path("EXACTLY", "/s3/multipart")},
		},
	}
}

func path(constraint, text string) *awswafv2.CfnWebACL_StatementProperty {
	return &awswafv2.CfnWebACL_StatementProperty{
		ByteMatchStatement: &awswafv2.CfnWebACL_ByteMatchStatementProperty{
			FieldToMatch:         &awswafv2.CfnWebACL_FieldToMatchProperty{UriPath: map[string]interface{}{}},
			PositionalConstraint: jsii.String(constraint),
			SearchString:         jsii.String(text),
			TextTransformations: &[]interface{}{
				&awswafv2.CfnWebACL_TextTransformationProperty{Priority: jsii.Number(0), Type: jsii.String("NORMALIZE_PATH")},
			},
		},
	}
}

func visibility(metric string) *awswafv2.CfnWebACL_VisibilityConfigProperty {
	return &awswafv2.CfnWebACL_VisibilityConfigProperty{
		CloudWatchMetricsEnabled: jsii.Bool(true),
		MetricName:               jsii.String(metric),
		// Samples would show whole requests with their queries.
		SampledRequestsEnabled: jsii.Bool(false),
	}
}
