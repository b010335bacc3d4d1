// Package cloudevents decodes events that publishers send: CloudEvents 1.0 in
// structured, binary and batch mode (CloudEvents HTTP binding 1.0.2, section 3),
// and the short form of this API.
//
// Each decoder returns the name of the log that the event belongs to, and the
// event. A publisher may leave out the ID, Source and Time of the short form;
// they are empty then. Data has the bytes that were sent. An event of a test log
// carries the extension livemode:false.
//
// An error is an [*Invalid] or a [*strictjson.Error].
package cloudevents
