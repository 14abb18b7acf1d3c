package local

import (
	"encoding/json"
	"errors"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/local/cloudwatch"
)

// alarms are those of the templates, on the distribution that is played.
func alarms(d *cfn.Deployment, distribution string) []cfn.Alarm {
	var all []cfn.Alarm
	text, err := json.Marshal(d.Monitoring.Alarms)
	if err == nil {
		err = json.Unmarshal([]byte(strings.ReplaceAll(string(text), "${"+d.Distribution.ID+"}", distribution)), &all)
	}
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return all
}

// Alarms judges the alarms of the templates, by name. What an alarm asks for and is not
// played is an error.
func (a *AWS) Alarms() (map[string]cloudwatch.State, error) {
	for name, q := range a.Queues {
		visible, oldest := q.Visible()
		a.Metrics.Add("AWS/SQS", "ApproximateNumberOfMessagesVisible", float64(visible), "QueueName", name)
		a.Metrics.Add("AWS/SQS", "ApproximateAgeOfOldestMessage", oldest.Seconds(), "QueueName", name)
	}
	states := map[string]cloudwatch.State{}
	var errs []error
	for _, alarm := range a.alarms {
		state, err := a.Metrics.State(alarm)
		states[alarm.AlarmName] = state
		errs = append(errs, err)
	}
	return states, errors.Join(errs...)
}
