package describe

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/paylogic/pushserver/internal/yamltree"
)

// downgrade turns a document from OpenAPI 3.2 into 3.1, in place.
func downgrade(root *yaml.Node) *yaml.Node {
	yamltree.Set(root, "openapi", yamltree.String("3.1.1"))
	withoutItems(root)
	return root
}

// withoutItems moves itemSchema to schema, and the examples of streams into the text
// of the response.
func withoutItems(n *yaml.Node) {
	for form, stream := range streamsOf(n) {
		text := []byte("\n\nAs `" + form + "`, for example:\n")
		for _, example := range yamltree.Members(yamltree.Find(stream, "examples")) {
			if summary := yamltree.Find(example, "summary"); summary != nil {
				text = fmt.Appendf(text, "\n%s:\n", summary.Value)
			}
			if value := yamltree.Find(example, "value"); value != nil {
				text = fmt.Appendf(text, "\n```\n%s\n```\n", strings.TrimRight(value.Value, "\n"))
			}
		}
		if description := yamltree.Find(n, "description"); description != nil {
			yamltree.Set(n, "description", yamltree.String(strings.TrimRight(description.Value, "\n")+string(text)))
		}
		yamltree.Set(stream, "schema", yamltree.Find(stream, "itemSchema"))
		yamltree.Delete(stream, "itemSchema")
		yamltree.Delete(stream, "examples")
	}
	for _, child := range n.Content {
		withoutItems(child)
	}
}
