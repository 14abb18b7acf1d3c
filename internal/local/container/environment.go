package container

import (
	"maps"
	"slices"
	"strconv"

	"oncegate/internal/lean/sigv4"
)

// Function is what the environment of a container says of its function.
type Function struct {
	Name, Version, Handler, Region string
	Directory                      string // the unpacked code
	MemoryMB                       int
	Credentials                    sigv4.Credentials
}

// Environment is what Lambda gives every function, whatever its runtime, and nothing of
// this process's own.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func (f Function) Environment() map[string]string {
	env := map[string]string{
		"_HANDLER":                        f.Handler,
		"AWS_ACCESS_KEY_ID":               f.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           f.Credentials.SecretAccessKey,
		"AWS_DEFAULT_REGION":              f.Region,
		"AWS_REGION":                      f.Region,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_FUNCTION_NAME":        f.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     f.Version,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + f.Name,
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LAMBDA_TASK_ROOT":                f.Directory,
		"LANG":                            "en_US.UTF-8",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin",
		"TZ":                              ":UTC",
	}
	if t := f.Credentials.SessionToken; t != "" {
		env["AWS_SESSION_TOKEN"] = t
	}
	return env
}

// List is an environment as a process gets it, in order.
func List(env map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
