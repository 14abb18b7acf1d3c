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

var statusTexts = map[int]string{
	statusOK:                    "OK",
	statusAccepted:              "Accepted",
	statusNoContent:             "No Content",
	statusBadRequest:            "Bad Request",
	statusUnauthorized:          "Unauthorized",
	statusForbidden:             "Forbidden",
	statusNotFound:              "Not Found",
	statusConflict:              "Conflict",
	statusLengthRequired:        "Length Required",
	statusRequestEntityTooLarge: "Request Entity Too Large",
	statusUnsupportedMediaType:  "Unsupported Media Type",
	statusServiceUnavailable:    "Service Unavailable",
}

func statusText(status int) string { return statusTexts[status] }
