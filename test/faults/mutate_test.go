//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paylogic/pushserver/test/stand"
)

const (
	// mark begins a comment at the end of a line: //mutant:OPERATOR NAME.
	mark = "//mutant:"
	// mutantVariable names the mutation that a mutant runs with.
	mutantVariable = "PUSHSERVER_MUTANT"
)

// mutantSource is added to each package that has marks.
const mutantSource = `package %s

import "os"

var chosenMutant = os.Getenv("` + mutantVariable + `")

func isMutant(name string) bool { return chosenMutant == name }

func lessOne[T int | int64 | uint64](name string, n T) T {
	if isMutant(name) {
		return n - 1
	}
	return n
}
`

// An edit replaces a part of a file.
type edit struct {
	from, to int // offsets
	by       string
}

// mutate returns the source of a file with its marks applied, and the names in the
// marks. A mark is at the end of the line of an if or a return. Its operator is
//
//   - never or always: the condition is false or true
//   - less-one: the first result is one less
//
// The marks stand on lines of code and not in this package, so that they move with
// the code.
func mutate(file string, source []byte) (mutated []byte, pkg string, names []string, err error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, "", nil, err
	}
	var edits []edit
	for _, group := range tree.Comments {
		for _, comment := range group.List {
			text, marked := strings.CutPrefix(comment.Text, mark)
			if !marked {
				continue
			}
			operator, name, _ := strings.Cut(text, " ")
			e, ok := editOf(fset, tree, fset.Position(comment.Pos()).Line, operator, name, source)
			if !ok {
				return nil, "", nil, fmt.Errorf("%s: the line has nothing that %s can change", fset.Position(comment.Pos()), comment.Text)
			}
			edits = append(edits, e)
			names = append(names, name)
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		source = slices.Concat(source[:e.from], []byte(e.by), source[e.to:])
	}
	return source, tree.Name.Name, names, nil
}

func editOf(fset *token.FileSet, tree *ast.File, line int, operator, name string, source []byte) (e edit, found bool) {
	change := func(expression ast.Expr, format string) {
		e.from, e.to = fset.Position(expression.Pos()).Offset, fset.Position(expression.End()).Offset
		e.by = fmt.Sprintf(format, name, source[e.from:e.to])
		found = true
	}
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt:
			at := fset.Position(node.Body.Lbrace).Line == line
			if at && operator == "never" {
				change(node.Cond, "!isMutant(%q) && (%s)")
			} else if at && operator == "always" {
				change(node.Cond, "(isMutant(%q) || (%s))")
			}
		case *ast.ReturnStmt:
			if fset.Position(node.Pos()).Line == line && operator == "less-one" && len(node.Results) > 0 {
				change(node.Results[0], "lessOne(%q, %s)")
			}
		}
		return true
	})
	return e, found
}

// overlay returns a file that has the compiler read every marked file with its
// marks applied. The result is one program with all mutations: [mutantVariable]
// chooses. The source is not touched.
func overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	files := 0
	write := func(path string, source []byte) {
		files++
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", files))
		if err := os.WriteFile(replace[path], source, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, source := range markedFiles(t) {
		mutated, pkg, _, err := mutate(path, source)
		if err != nil {
			t.Fatal(err)
		}
		write(path, mutated)
		write(filepath.Join(filepath.Dir(path), "mutant_overlay.go"), fmt.Appendf(nil, mutantSource, pkg))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// markedFiles returns the sources of the product that have a mark, by absolute
// path.
func markedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	root, err := filepath.Abs(stand.Root)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, folder := range []string{"api", "auth", "cmd", "ratelimit", "streams"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if bytes.Contains(source, []byte(mark)) {
				files[path] = source
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestMutationsAndMarksBelongTogether(t *testing.T) {
	marked := make(map[string]bool)
	for path, source := range markedFiles(t) {
		_, _, names, err := mutate(path, source)
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			marked[name] = true
			if !slices.ContainsFunc(mutations, func(m mutation) bool { return m.name == name }) {
				t.Errorf("%s is marked for the mutation %q, which is not in the table", path, name)
			}
		}
	}
	for _, m := range mutations {
		if !marked[m.name] {
			t.Errorf("no line is marked for the mutation %q", m.name)
		}
	}
}
