// Package yamltree reads YAML that means the same as JSON into trees of [yaml.Node]:
// members keep the order in which a person wrote them, numbers keep their digits,
// and errors know their line.
package yamltree
