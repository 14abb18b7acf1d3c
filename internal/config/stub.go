package config

// Stub is what the edge needs to know with "runtime": "regional": which functions
// decide. It is packed with the stub as settings.json.
type Stub struct {
	Region    string            `json:"region"`
	Functions map[string]string `json:"functions"` // mint and gate -> function name
}

// Stub returns the stub's settings.
func (c Config) Stub() Stub {
	names := map[string]string{}
	for _, function := range []string{"mint", "gate"} {
		names[function] = c.Deploy.RegionalName(function)
	}
	return Stub{Region: c.Region, Functions: names}
}
