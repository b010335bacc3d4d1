package filter

import (
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Limits of expressions.
const (
	MaxExpr  = 2048 // bytes of text
	MaxDepth = 32   // parentheses and operands within each other

	// MaxTerms bounds the comparisons, sums, look-ups by [], has() and function
	// calls. There may be twice as many of the operators && || ! ?:, which only
	// join them.
	MaxTerms = 32

	// MaxCost bounds the cost of an evaluation, for every event. A unit is about
	// 2 ns, so this is about 20 µs; BenchmarkWorst measures it. Only an ambiguous
	// pattern of matches, on a text made for it, takes longer: up to three times
	// its charge.
	MaxCost = 10_000

	maxTokens = 400 // words and signs
)

// An expression is compiled.
type expression struct {
	program cel.Program
	form    string // canonical
	cost    int    // what an evaluation takes at most
}

// compileExpression checks an expression and makes it ready to run. The cheapest
// checks come first.
func compileExpression(text string) (*expression, error) {
	switch {
	case len(text) > MaxExpr:
		return nil, refuse(PartFilter, "an expression may have at most %d bytes; this one has %d", MaxExpr, len(text))
	case !utf8.ValidString(text):
		return nil, refuse(PartFilter, "an expression must be valid UTF-8")
	}
	if err := scan(text); err != nil {
		return nil, err
	}
	parsed, issues := language().Parse(text)
	if issues.Err() != nil {
		return nil, syntaxError(issues)
	}
	a := analysis{info: parsed.NativeRep().SourceInfo()}
	if err := a.visit(parsed.NativeRep().Expr()); err != nil {
		return nil, err
	}
	switch {
	case a.terms > MaxTerms:
		return nil, tooMany()
	case a.cost > MaxCost:
		return nil, refuse(PartFilter, "the expression could take too long (%d units of %d); use fewer of matches, contains, size and in, or shorter patterns", a.cost, MaxCost)
	}
	checked, issues := language().Check(parsed)
	if issues.Err() != nil {
		return nil, placed(issues, "the operator or function does not accept operands of these types; time is a timestamp, data is any JSON value, and the other variables are text")
	}
	if out := checked.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, refuse(PartFilter, "an expression must result in true or false; compare the value with something")
	}
	program, err := language().Program(checked, cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(matches))
	if err != nil {
		return nil, refuse(PartFilter, "a constant of the expression does not convert to the type that is asked for")
	}
	return &expression{program, string(a.form), a.cost}, nil
}

// holds evaluates the expression. A value other than true does not hold.
func (x *expression) holds(e *Event) (bool, error) {
	v, _, err := x.program.Eval((*activation)(e))
	return v == types.True, err
}

// syntaxError says where the first mistake is. It does not show the parser's
// text, which is about the parser's grammar.
func syntaxError(issues *cel.Issues) *Error {
	for _, issue := range issues.Errors() {
		if strings.Contains(issue.Message, "recursion") {
			return tooDeep()
		}
	}
	return placed(issues, "the expression does not parse from here on; look for a missing quote, parenthesis or operator")
}

// placed returns an error at the first place that the issues name.
func placed(issues *cel.Issues, reason string) *Error {
	err := refuse(PartFilter, "%s", reason)
	for _, issue := range issues.Errors() {
		if issue.Location.Line() > 0 {
			err.Line, err.Column = issue.Location.Line(), issue.Location.Column()+1
			break
		}
	}
	return err
}
