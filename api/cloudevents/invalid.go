package cloudevents

// Invalid says why an event was rejected. It can be shown to the publisher.
type Invalid struct {
	Code   string // the name of a problem of the API: "schema-violation"
	Detail string // what to do
	Places []Place
}

// Error implements error.
func (i *Invalid) Error() string { return i.Code + ": " + i.Detail }

// Below puts a JSON Pointer before the pointers of all places.
func (i *Invalid) Below(pointer string) {
	for n := range i.Places {
		if p := &i.Places[n]; p.Kind == Pointer {
			p.At = pointer + p.At
		}
	}
}

// A Place is one part of an event that is invalid.
type Place struct {
	Kind   string // Pointer or Header
	At     string // a JSON Pointer into the body, or the name of a header
	Detail string // "must be a string"
}

// Kinds of a [Place].
const (
	Pointer = "pointer"
	Header  = "header"
)
