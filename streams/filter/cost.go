package filter

import (
	"regexp/syntax"
	"strconv"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// The highest cost of an operation, in units of [MaxCost].
const (
	costLiteral  = 1
	costVariable = 10
	costField    = 20
	costCall     = 25
	costSearch   = 200  // contains, for a text short enough for the processor's own search
	costLongest  = 3000 // contains, for any other
	costCount    = 2300 // size
	costList     = 1200 // in, for a list of data
	costCompare  = 1200 // two texts of data with each other, for data of 256 KiB

	// costStep is one step of a pattern at each byte of a text. Most patterns take
	// less. An ambiguous pattern on a text made for it takes three times as much;
	// charging for that would refuse useful patterns.
	costStep = MaxMatchText

	longestFast = 63 // bytes that contains finds fast
)

// calls are the operators and functions of the language, with their cost without
// their operands.
var calls = map[string]int{
	operators.Conditional: costCall, operators.LogicalAnd: costCall, operators.LogicalOr: costCall,
	operators.LogicalNot: costCall, operators.Negate: costCall, operators.Index: costCall,
	operators.Equals: costCall, operators.NotEquals: costCall, operators.Less: costCall,
	operators.LessEquals: costCall, operators.Greater: costCall, operators.GreaterEquals: costCall,
	operators.Add: 2 * costCall, operators.Subtract: 2 * costCall, operators.Multiply: 2 * costCall,
	operators.Divide: 2 * costCall, operators.Modulo: 2 * costCall,

	operators.In:         costCall,
	overloads.Contains:   costCall,
	overloads.Matches:    costCall,
	overloads.StartsWith: costCall,
	overloads.EndsWith:   costCall,
	overloads.Size:       costCall + costCount,

	overloads.TypeConvertInt: 4 * costCall, overloads.TypeConvertDouble: 4 * costCall,
	overloads.TypeConvertString: 6 * costCall, overloads.TypeConvertTimestamp: 6 * costCall,
	overloads.TypeConvertDuration: 6 * costCall,

	overloads.TimeGetFullYear: 2 * costCall, overloads.TimeGetMonth: 2 * costCall,
	overloads.TimeGetDayOfYear: 2 * costCall, overloads.TimeGetDayOfMonth: 2 * costCall,
	overloads.TimeGetDate: 2 * costCall, overloads.TimeGetDayOfWeek: 2 * costCall,
	overloads.TimeGetHours: 2 * costCall, overloads.TimeGetMinutes: 2 * costCall,
	overloads.TimeGetSeconds: 2 * costCall, overloads.TimeGetMilliseconds: 2 * costCall,
}

// An analysis is one pass over a parsed expression. It refuses what the language
// lacks, adds up the cost, and writes the canonical form.
type analysis struct {
	info *ast.SourceInfo

	form  []byte
	cost  int
	terms int
}

// visit analyses e and its operands.
func (a *analysis) visit(e ast.Expr) *Error {
	switch e.Kind() {
	case ast.LiteralKind:
		return a.literal(e)
	case ast.IdentKind:
		return a.variable(e)
	case ast.SelectKind:
		return a.field(e)
	case ast.CallKind:
		return a.call(e)
	case ast.ListKind:
		elements := e.AsList().Elements()
		a.cost += costCall
		a.form = appendCount(a.form, '[', len(elements))
		return a.visitAll(elements)
	default:
		return a.refuse(e, "only lists may be written out here, not maps or messages")
	}
}

func (a *analysis) visitAll(list []ast.Expr) *Error {
	for _, e := range list {
		if err := a.visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (a *analysis) literal(e ast.Expr) *Error {
	var kind byte
	var text string
	switch v := e.AsLiteral().(type) {
	case types.Null:
		kind = 'n'
	case types.Bool:
		kind, text = 'b', strconv.FormatBool(bool(v))
	case types.Int:
		kind, text = 'i', strconv.FormatInt(int64(v), 10)
	case types.Uint:
		kind, text = 'u', strconv.FormatUint(uint64(v), 10)
	case types.Double:
		kind, text = 'd', strconv.FormatFloat(float64(v), 'g', -1, 64)
	case types.String:
		kind, text = 's', string(v)
	default:
		return a.refuse(e, "bytes are not available; write text in quotes without a b before them")
	}
	a.cost += costLiteral
	a.form = appendText(append(a.form, kind), text)
	return nil
}

func (a *analysis) variable(e ast.Expr) *Error {
	name := e.AsIdent()
	if _, ok := variableOf(name); !ok {
		return a.refuse(e, "%s is not a variable; the variables are id, source, type, subject, merchant, time and data; put text in quotes", quote(name))
	}
	a.cost += costVariable
	a.form = appendText(append(a.form, 'v'), name)
	return nil
}

func (a *analysis) field(e ast.Expr) *Error {
	f := e.AsSelect()
	kind := byte('.')
	if f.IsTestOnly() { // has()
		kind = '?'
		a.terms++
	}
	a.cost += costField
	a.form = appendText(append(a.form, kind), f.FieldName())
	return a.visit(f.Operand())
}

func (a *analysis) call(e ast.Expr) *Error {
	c := e.AsCall()
	name, operands := c.FunctionName(), c.Args()
	cost, ok := calls[name]
	if !ok {
		return a.refuse(e, "%s is not a function here; available are contains, startsWith, endsWith, matches, size, has, int, double, string, timestamp, duration and time functions such as getHours; no function iterates over a list", quote(name))
	}
	kind := byte('f')
	if c.IsMemberFunction() {
		kind = 'm'
		operands = append([]ast.Expr{c.Target()}, operands...)
	}
	switch name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
	default:
		a.terms++
	}
	a.cost += cost
	if len(operands) == 2 { // anything else is not a call that the checker accepts
		if err := a.search(name, operands[0], operands[1]); err != nil {
			return err
		}
	}
	a.form = appendCount(appendText(append(a.form, kind), name), '(', len(operands))
	return a.visitAll(operands)
}

// search adds the cost that depends on the operands: a call that looks through a
// text or a list takes longer for some than for others.
func (a *analysis) search(name string, left, right ast.Expr) *Error {
	literal, isLiteral := literalText(right)
	switch name {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
		operators.Greater, operators.GreaterEquals, overloads.StartsWith, overloads.EndsWith:
		if canBeLong(left) && canBeLong(right) {
			a.cost += costCompare
		}
	case operators.In:
		if right.Kind() == ast.ListKind {
			a.cost += costCall * right.AsList().Size()
		} else {
			a.cost += costList
		}
	case overloads.Contains:
		if isLiteral && len(literal) <= longestFast {
			a.cost += costSearch
		} else {
			a.cost += costLongest
		}
	case overloads.Matches:
		if !isLiteral {
			return a.refuse(right, "the pattern of matches must be a quoted text")
		}
		steps, reason := patternSteps(literal)
		if reason != "" {
			return a.refuse(right, "%s", reason)
		}
		a.cost += steps * costStep
	}
	return nil
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	t, ok := e.AsLiteral().(types.String)
	return string(t), ok
}

// canBeLong reports whether the value of e can be a text of data, which may have
// any length.
func canBeLong(e ast.Expr) bool {
	switch e.Kind() {
	case ast.SelectKind:
		return !e.AsSelect().IsTestOnly()
	case ast.IdentKind:
		return e.AsIdent() == "data"
	case ast.CallKind:
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.Conditional, overloads.TypeConvertString:
			return true
		}
	}
	return false
}

// refuse returns an error that points to e.
func (a *analysis) refuse(e ast.Expr, format string, args ...any) *Error {
	err := refuse(PartFilter, format, args...)
	if place := a.info.GetStartLocation(e.ID()); place.Line() > 0 {
		err.Line, err.Column = place.Line(), place.Column()+1
	}
	return err
}

// patternSteps returns how many steps a regular expression has, or why it is
// refused. A repetition within a repetition is exponential in engines that
// backtrack. Here it takes linear time, but it is the most ambiguous pattern, and
// a simpler one always says the same.
func patternSteps(pattern string) (steps int, reason string) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, "the pattern of matches is not a valid regular expression (RE2 syntax)"
	}
	steps, nested := countSteps(re, false)
	if nested {
		return 0, "the pattern of matches has a repetition within a repetition; write it with one"
	}
	return steps, ""
}

// countSteps counts what a regular expression tries at each byte, and reports
// whether one repetition is within another.
func countSteps(re *syntax.Regexp, repeated bool) (steps int, nested bool) {
	times := 1
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune), false
	case syntax.OpStar, syntax.OpPlus:
		nested, repeated = repeated, true
	case syntax.OpRepeat:
		times = max(re.Min, re.Max, 1)
		if re.Max != 1 {
			nested, repeated = repeated, true
		}
	}
	steps = 1
	for _, sub := range re.Sub {
		n, bad := countSteps(sub, repeated)
		steps += n
		nested = nested || bad
	}
	return min(steps*times, MaxCost), nested
}
