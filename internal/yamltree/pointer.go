package yamltree

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Locate returns the node that a JSON Pointer leads to, or the last node on the way
// there.
func Locate(n *yaml.Node, pointer string) *yaml.Node {
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		token = Unescape.Replace(token)
		next := Find(n, token)
		for i, element := range Elements(n) {
			if fmt.Sprint(i) == token {
				next = element
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// Escape and Unescape convert a name to and from its form in a JSON Pointer (RFC
// 6901).
var (
	Escape   = strings.NewReplacer("~", "~0", "/", "~1")
	Unescape = strings.NewReplacer("~1", "/", "~0", "~")
)
