package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"oncegate/internal/s3index"
)

// The credentials of every verb that talks to AWS, found as the AWS CLI finds them, and what
// is said if there are none, or if they are over.

// credentialsHelp is in the help of each of these verbs.
const credentialsHelp = `
Credentials are found as the AWS CLI finds them: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else the profile in AWS_PROFILE, or default
(aws sso login, aws login, aws configure, assumed roles, credential_process); else the
role of the container or instance. The Region is the settings', never the profile's.
`

// Time limits. Nothing answers for instance roles on a machine that is no instance, and a
// network may swallow the question. AWS_EC2_METADATA_DISABLED=true does not ask at all.
const (
	instanceLimit   = 2 * time.Second
	credentialLimit = 90 * time.Second // a credential_process may ask a person
)

const devHint = "for the bucket of make dev: . build/dev/env"

// findCredentials returns working credentials for the Region, or an error whose hint names the
// command that makes or renews them. It gets them at once, so that nothing is begun without.
//
// The environment comes first, as for the AWS CLI, and then no file is read: with . build/dev/env
// a profile that is wrong or over does not matter.
func findCredentials(ctx context.Context, region string) (aws.CredentialsProvider, error) {
	id, secret, token := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	switch {
	case id != "" && secret != "":
		// aws configure export-credentials sets this variable, too.
		if end, err := time.Parse(time.RFC3339, os.Getenv("AWS_CREDENTIAL_EXPIRATION")); err == nil && token != "" && time.Now().After(end) {
			return nil, &hintError{fmt.Errorf("the credentials in the environment expired at %s", shownTime(end)), environmentHint()}
		}
		return credentials.NewStaticCredentialsProvider(id, secret, token), nil
	case id != "" || secret != "":
		// Others than these would be a surprise.
		return nil, &hintError{errors.New("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set"), "set both, or unset both to use a profile"}
	}
	conf, err := config.LoadDefaultConfig(ctx, config.WithRegion(region))
	if err != nil {
		return nil, unloadable(err)
	}
	instance := comesFrom(conf.Credentials, aws.CredentialSourceIMDS)
	limit := credentialLimit
	if instance {
		limit = instanceLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := profileOf(conf)
	found, err := conf.Credentials.Retrieve(ctx)
	switch {
	case err != nil && instance && p.CredentialSource == "":
		return nil, noCredentials(p)
	case err != nil:
		return nil, unusable(p, err)
	case found.Expired():
		return nil, &hintError{fmt.Errorf("the credentials of the profile %s expired at %s", p.Profile, shownTime(found.Expires)), renewal(p)}
	}
	return conf.Credentials, nil
}

// comesFrom reports whether source is where the credentials come from in the end.
func comesFrom(p aws.CredentialsProvider, source aws.CredentialSource) bool {
	with, ok := p.(interface{ ProviderSources() []aws.CredentialSource })
	return ok && slices.Contains(with.ProviderSources(), source)
}

// profileOf returns the profile that was read; it may be empty.
func profileOf(conf aws.Config) config.SharedConfig {
	p := config.SharedConfig{}
	for _, s := range conf.ConfigSources {
		if found, ok := s.(config.SharedConfig); ok {
			p = found
		}
	}
	p.Profile = cmp.Or(p.Profile, chosenProfile())
	return p
}

// profileFiles are the files that have the profiles.
func profileFiles() string {
	return cmp.Or(os.Getenv("AWS_CONFIG_FILE"), "~/.aws/config") + " or " + cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), "~/.aws/credentials")
}

func chosenProfile() string {
	return cmp.Or(os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"), "default")
}

// noCredentials says that there are none anywhere.
func noCredentials(p config.SharedConfig) error {
	return &hintError{
		fmt.Errorf("no credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor the profile %s has any, and no container or instance role answers", p.Profile),
		"aws configure sso or aws configure makes a profile, export AWS_PROFILE=NAME chooses one (aws configure list-profiles); " + devHint,
	}
}

// unloadable says what is wrong with the files of the AWS CLI.
func unloadable(err error) error {
	name := chosenProfile()
	if absent, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return &hintError{
			fmt.Errorf("there is no profile %s in %s", absent.Profile, profileFiles()),
			"export AWS_PROFILE=NAME with one of aws configure list-profiles, or aws configure --profile " + absent.Profile,
		}
	}
	if _, ok := errors.AsType[config.AssumeRoleTokenProviderNotSetError](err); ok {
		return &hintError{
			fmt.Errorf("the profile %s asks for an MFA code, which the AWS CLI can ask for", name), exportHint(name),
		}
	}
	if file, ok := errors.AsType[config.SharedConfigLoadError](err); ok {
		return fmt.Errorf("%s cannot be read: %w", file.Filename, file.Err)
	}
	return &hintError{fmt.Errorf("the profile %s cannot be used: %w", name, err), "aws configure list --profile " + name}
}

// unusable says why the credentials of a profile, a container or a token cannot be had.
func unusable(p config.SharedConfig, err error) error {
	api, refused := errors.AsType[smithy.APIError](err)
	_, unsent := errors.AsType[*smithyhttp.RequestSendError](err)
	o := origin(p)
	switch {
	case unsent || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the credentials of %s cannot be had: no answer: %w", where(p), innermost(err))
	case refused && over[api.ErrorCode()], !refused && isSession(o):
		return &hintError{fmt.Errorf("the session of %s is over, or was never begun", where(p)), renewal(p)}
	case refused && api.ErrorCode() != "":
		return fmt.Errorf("the credentials of %s cannot be had: %s: %s", where(p), api.ErrorCode(), strings.Join(strings.Fields(api.ErrorMessage()), " "))
	case refused: // by something that is no service of AWS; what it says may be anything
		return fmt.Errorf("the credentials of %s cannot be had: the request was refused without a code", where(p))
	case o.CredentialProcess != "":
		// What the program has printed may hold the secret.
		what := "what it prints are no credentials"
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			what = exit.Error()
		}
		return &hintError{fmt.Errorf("the credential_process of the profile %s failed: %s", o.Profile, what), "run it: " + o.CredentialProcess}
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path
	}
	return &hintError{fmt.Errorf("the credentials of %s cannot be had: %w", where(p), innermost(err)), renewal(p)}
}

// where says whose credentials they are.
func where(p config.SharedConfig) string {
	switch o := origin(p); {
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return "the token in AWS_WEB_IDENTITY_TOKEN_FILE"
	case p.RoleARN != "" && p.Profile != o.Profile:
		return fmt.Sprintf("the profile %s (role %s, by the profile %s)", p.Profile, p.RoleARN, o.Profile)
	case p.RoleARN != "":
		return fmt.Sprintf("the profile %s (role %s)", p.Profile, p.RoleARN)
	case !isSession(o) && o.CredentialProcess == "" && !o.Credentials.HasKeys():
		return "the container"
	}
	return "the profile " + p.Profile
}

// origin returns the profile whose credentials the others are made of.
func origin(p config.SharedConfig) config.SharedConfig {
	for p.Source != nil {
		p = *p.Source
	}
	return p
}

// isSession reports whether a person has to log in.
func isSession(p config.SharedConfig) bool {
	return p.SSOSession != nil || p.SSOStartURL != "" || p.LoginSession != ""
}

// over are the codes by which AWS says that credentials or a session are over.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
// https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
// https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
var over = map[string]bool{
	"ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true, "TokenRefreshRequired": true,
	"UnauthorizedException": true, "InvalidGrantException": true, "InvalidClientException": true,
}

// renewal names the command that makes the credentials of a profile anew.
func renewal(p config.SharedConfig) string {
	o := origin(p)
	flag := ""
	if o.Profile != "default" {
		flag = " --profile " + o.Profile
	}
	switch {
	case o.LoginSession != "":
		return "aws login" + flag
	case isSession(o):
		return "aws sso login" + flag
	case o.CredentialProcess != "":
		return "the credential_process of the profile " + o.Profile + " makes them: " + o.CredentialProcess
	case o.Credentials.HasKeys():
		return "aws configure" + flag
	}
	return "another profile: export AWS_PROFILE=NAME"
}

func exportHint(profile string) string {
	return `eval "$(aws configure export-credentials --profile ` + profile + ` --format env)"`
}

// environmentHint says how the variables are renewed.
func environmentHint() string {
	return exportHint(chosenProfile()) + ", or unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN to use a profile; " + devHint
}

// innermost returns the last error of a chain, which has what happened without the SDK's account
// of what it was doing.
func innermost(err error) error {
	for next := err; next != nil; next = errors.Unwrap(next) {
		err = next
		if _, ok := next.(*fs.PathError); ok {
			break
		}
	}
	return err
}

// renewed adds to an error by which AWS says that the credentials are over which command renews
// them. Every other error it returns as it is.
func renewed(ctx context.Context, err error) error {
	code := ""
	if refusal, ok := errors.AsType[s3index.Code](err); ok {
		code = string(refusal)
	}
	if api, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		code = api.ErrorCode()
	}
	if _, ok := errors.AsType[*hintError](err); ok || !over[code] {
		return err
	}
	hint := environmentHint()
	if os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		conf, loadErr := config.LoadDefaultConfig(ctx)
		if loadErr != nil {
			return err
		}
		hint = renewal(profileOf(conf))
	}
	return &hintError{fmt.Errorf("%w: the credentials have expired", err), hint}
}
