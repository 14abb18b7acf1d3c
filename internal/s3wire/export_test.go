package s3wire

// ParseVersions reads a list of versions.
var ParseVersions = parseVersions
