package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"oncegate/internal/client"
	"oncegate/internal/invite"
)

// What url, put, scenario and verify share: they talk to a deployment over HTTP.

// deploymentHelp ends the help of each of them.
const deploymentHelp = `
If no deployment is named, it is the one in $ONCEGATE_URL. For make dev:
. build/dev/env

If the deployment asks for a credential (the setting "auth"), it comes from a file or
from the environment. It is never an argument, because others on this machine can see
arguments:

    --key-file PATH    API key; else $ONCEGATE_KEY
    --token-file PATH  bearer token, or the link of an invitation; else $ONCEGATE_TOKEN

PATH may be - for standard input. A credential is sent to that deployment only, and
over plain http only to this machine.
`

// deploymentFlags name the deployment and the credential.
type deploymentFlags struct {
	fs                 *flag.FlagSet
	keyFile, tokenFile *string
}

func newDeploymentFlags(fs *flag.FlagSet) deploymentFlags {
	return deploymentFlags{fs, fs.String("key-file", "", ""), fs.String("token-file", "", "")}
}

// base returns the distribution's URL: the one given, else the environment's.
func (f deploymentFlags) base(given ...string) (string, error) {
	switch {
	case len(given) > 1:
		return "", usagef(f.fs, "unexpected argument %q", given[1])
	case len(given) == 1 && given[0] != "":
		return given[0], nil
	case os.Getenv("ONCEGATE_URL") != "":
		return os.Getenv("ONCEGATE_URL"), nil
	}
	return "", usagef(f.fs, "no URL given, such as https://d111111abcdef8.cloudfront.net, and no $ONCEGATE_URL")
}

// open returns a client of the deployment, and its URL.
func (f deploymentFlags) open(given ...string) (*client.Deployment, string, error) {
	base, err := f.base(given...)
	if err != nil {
		return nil, "", err
	}
	credential, err := f.credential()
	if err != nil {
		return nil, "", err
	}
	d, err := client.New(base, credential)
	if err != nil {
		return nil, "", usagef(f.fs, "%w", err)
	}
	return d, d.URL(), nil
}

// credential returns the one that the flags name, else the environment's, else none. Its
// errors do not repeat what it has read.
func (f deploymentFlags) credential() (client.Credential, error) {
	kinds := []struct {
		flag, file, env string
		parse           func(string) (client.Credential, error)
	}{
		{"--key-file", *f.keyFile, "ONCEGATE_KEY", client.Key},
		{"--token-file", *f.tokenFile, "ONCEGATE_TOKEN", token},
	}
	if *f.keyFile != "" && *f.tokenFile != "" {
		return client.Credential{}, usagef(f.fs, "--key-file and --token-file: give only one of them")
	}
	for _, k := range kinds {
		if k.file == "" {
			continue
		}
		text, err := readSecret(k.file)
		if err != nil {
			return client.Credential{}, fmt.Errorf("%s: %w", k.flag, err)
		}
		c, err := k.parse(text)
		if err != nil {
			return client.Credential{}, fmt.Errorf("%s %s: %w", k.flag, k.file, err)
		}
		return c, nil
	}
	var found client.Credential
	for _, k := range kinds {
		text := os.Getenv(k.env)
		if text == "" {
			continue
		}
		if found != (client.Credential{}) {
			return client.Credential{}, errors.New("both ONCEGATE_KEY and ONCEGATE_TOKEN are set: unset one of them")
		}
		var err error
		if found, err = k.parse(text); err != nil {
			return client.Credential{}, fmt.Errorf("%s: %w", k.env, err)
		}
	}
	return found, nil
}

// token is a bearer token, or that of an invitation whose link was given.
func token(text string) (client.Credential, error) {
	if _, t, ok := strings.Cut(text, "#"); ok && invite.LooksLikeToken(t) {
		text = t
	}
	return client.Token(text)
}

// readSecret reads a file that holds one line.
func readSecret(path string) (string, error) {
	const most = 64 << 10
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}
