package cloudfront

import (
	"net/http"
	"strconv"

	"oncegate/internal/local/cloudwatch"
)

// counted is a ResponseWriter that knows what the viewer was answered.
type counted struct {
	http.ResponseWriter
	status int
}

// Unwrap is for http.ResponseController.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (c *counted) WriteHeader(status int) {
	if status >= 200 { // not an interim answer
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *counted) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	return c.ResponseWriter.Write(p)
}

// report counts one viewer's request, as CloudFront does: by what the viewer was answered,
// whoever answered it. A viewer that got no answer is a request.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
func (c *counted) report(m *cloudwatch.Metrics, distribution string) {
	of := []string{"DistributionId", distribution, "Region", "Global"}
	m.Add("AWS/CloudFront", "Requests", 1, of...)
	status := strconv.Itoa(c.status)
	for _, kind := range []string{"4xx", "401", "403", "404", "5xx", "502", "503", "504"} {
		rate := 0.0
		if kind == status || kind[1:] == "xx" && kind[0] == status[0] {
			rate = 100
		}
		m.Add("AWS/CloudFront", kind+"ErrorRate", rate, of...)
	}
}
