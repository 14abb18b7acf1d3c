package edge

// The words of HTTP that are used here. They are those of package net/http, which
// would be most of what the edge has to load.

const (
	methodGet     = "GET"
	methodHead    = "HEAD"
	methodPost    = "POST"
	methodPut     = "PUT"
	methodDelete  = "DELETE"
	methodOptions = "OPTIONS"
)

const (
	statusOK                    = 200
	statusCreated               = 201
	statusAccepted              = 202
	statusNoContent             = 204
	statusBadRequest            = 400
	statusUnauthorized          = 401
	statusForbidden             = 403
	statusNotFound              = 404
	statusConflict              = 409
	statusLengthRequired        = 411
	statusRequestEntityTooLarge = 413
	statusUnsupportedMediaType  = 415
	statusServiceUnavailable    = 503
)

// statusText is the text of a status that is answered here, or "".
func statusText(status int) string {
	switch status {
	case statusOK:
		return "OK"
	case statusCreated:
		return "Created"
	case statusAccepted:
		return "Accepted"
	case statusNoContent:
		return "No Content"
	case statusBadRequest:
		return "Bad Request"
	case statusUnauthorized:
		return "Unauthorized"
	case statusForbidden:
		return "Forbidden"
	case statusNotFound:
		return "Not Found"
	case statusConflict:
		return "Conflict"
	case statusLengthRequired:
		return "Length Required"
	case statusRequestEntityTooLarge:
		return "Request Entity Too Large"
	case statusUnsupportedMediaType:
		return "Unsupported Media Type"
	case statusServiceUnavailable:
		return "Service Unavailable"
	}
	return ""
}
