package filter

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// How much text a function looks through before it fails with [ErrTooLong].
// Comparisons, startsWith and endsWith have no limit.
const (
	MaxText      = 4096 // bytes, for contains and size
	MaxMatchText = 256  // bytes, for matches
	maxNumeral   = 64   // bytes that a conversion reads
)

// arithmetic declares the operators for numbers and times, but not for text and
// lists: an expression that doubles them again and again fills the memory.
func arithmetic() []cel.EnvOption {
	i, u, d := cel.IntType, cel.UintType, cel.DoubleType
	moment, span := cel.TimestampType, cel.DurationType
	type signature [3]*cel.Type // two operands and the result

	operator := func(name string, apply func(a, b ref.Val) ref.Val, signatures ...signature) cel.EnvOption {
		options := []cel.FunctionOpt{cel.SingletonBinaryBinding(func(a, b ref.Val) ref.Val {
			if isNumber(a) && isNumber(b) && a.Type() != b.Type() {
				a, b = a.ConvertToType(types.DoubleType), b.ConvertToType(types.DoubleType)
			}
			return apply(a, b)
		})}
		for _, s := range signatures {
			id := strings.Join([]string{name, s[0].String(), s[1].String()}, " ")
			options = append(options, cel.Overload(id, []*cel.Type{s[0], s[1]}, s[2]))
		}
		return cel.Function(name, options...)
	}
	return []cel.EnvOption{
		operator(operators.Add, add, signature{i, i, i}, signature{u, u, u}, signature{d, d, d},
			signature{moment, span, moment}, signature{span, moment, moment}, signature{span, span, span}),
		operator(operators.Subtract, subtract, signature{i, i, i}, signature{u, u, u}, signature{d, d, d},
			signature{moment, span, moment}, signature{moment, moment, span}, signature{span, span, span}),
		operator(operators.Multiply, multiply, signature{i, i, i}, signature{u, u, u}, signature{d, d, d}),
		operator(operators.Divide, divide, signature{i, i, i}, signature{u, u, u}, signature{d, d, d}),
		operator(operators.Modulo, modulo, signature{i, i, i}, signature{u, u, u}),
	}
}

func isNumber(v ref.Val) bool {
	switch v.(type) {
	case types.Int, types.Uint, types.Double:
		return true
	}
	return false
}

func isTime(v ref.Val) bool {
	switch v.(type) {
	case types.Timestamp, types.Duration:
		return true
	}
	return false
}

func add(a, b ref.Val) ref.Val {
	if isNumber(a) || isTime(a) { // text and lists could be added as well
		return a.(traits.Adder).Add(b)
	}
	return types.NoSuchOverloadErr()
}

func subtract(a, b ref.Val) ref.Val {
	if s, ok := a.(traits.Subtractor); ok {
		return s.Subtract(b)
	}
	return types.NoSuchOverloadErr()
}

func multiply(a, b ref.Val) ref.Val {
	if m, ok := a.(traits.Multiplier); ok {
		return m.Multiply(b)
	}
	return types.NoSuchOverloadErr()
}

func divide(a, b ref.Val) ref.Val {
	if d, ok := a.(traits.Divider); ok {
		return d.Divide(b)
	}
	return types.NoSuchOverloadErr()
}

func modulo(a, b ref.Val) ref.Val {
	if m, ok := a.(traits.Modder); ok {
		return m.Modulo(b)
	}
	return types.NoSuchOverloadErr()
}

// searches declares the functions that look through a text.
func searches() []cel.EnvOption {
	twoStrings := []*cel.Type{cel.StringType, cel.StringType}
	anyList, anyMap := cel.ListType(cel.DynType), cel.MapType(cel.DynType, cel.DynType)
	return []cel.EnvOption{
		cel.Function(overloads.Contains,
			cel.MemberOverload(overloads.ContainsString, twoStrings, cel.BoolType, cel.BinaryBinding(contains))),
		cel.Function(overloads.Matches,
			cel.MemberOverload(overloads.MatchesString, twoStrings, cel.BoolType, cel.BinaryBinding(matchesUnknown))),
		cel.Function(overloads.Size,
			cel.Overload(overloads.SizeString, []*cel.Type{cel.StringType}, cel.IntType),
			cel.Overload(overloads.SizeList, []*cel.Type{anyList}, cel.IntType),
			cel.Overload(overloads.SizeMap, []*cel.Type{anyMap}, cel.IntType),
			cel.MemberOverload(overloads.SizeStringInst, []*cel.Type{cel.StringType}, cel.IntType),
			cel.MemberOverload(overloads.SizeListInst, []*cel.Type{anyList}, cel.IntType),
			cel.MemberOverload(overloads.SizeMapInst, []*cel.Type{anyMap}, cel.IntType),
			cel.SingletonUnaryBinding(size)),
	}
}

func contains(text, part ref.Val) ref.Val {
	t, ok1 := text.(types.String)
	p, ok2 := part.(types.String)
	switch {
	case !ok1 || !ok2:
		return types.NoSuchOverloadErr()
	case len(t) > MaxText:
		return types.WrapErr(ErrTooLong)
	}
	return types.Bool(strings.Contains(string(t), string(p)))
}

func size(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.String:
		if len(v) > MaxText {
			return types.WrapErr(ErrTooLong)
		}
		return types.Int(utf8.RuneCountInString(string(v)))
	case traits.Sizer:
		return v.Size()
	}
	return types.NoSuchOverloadErr()
}

// matchesUnknown is for a pattern that is not a literal, which the analysis
// refuses.
func matchesUnknown(_, _ ref.Val) ref.Val {
	return types.NoSuchOverloadErr()
}

// matches compiles the pattern of a call once.
var matches = &interpreter.RegexOptimization{
	Function:   overloads.Matches,
	OverloadID: overloads.MatchesString, // with this name it replaces the library's own
	RegexIndex: 1,
	Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			text, ok := args[0].(types.String)
			switch {
			case !ok:
				return types.NoSuchOverloadErr()
			case len(text) > MaxMatchText:
				return types.WrapErr(ErrTooLong)
			}
			return types.Bool(re.MatchString(string(text)))
		}), nil
	},
}

// conversions declares the functions named after a type.
func conversions() []cel.EnvOption {
	conversion := func(name string, to *cel.Type, from ...*cel.Type) cel.EnvOption {
		options := []cel.FunctionOpt{cel.SingletonUnaryBinding(func(v ref.Val) ref.Val {
			if s, ok := v.(types.String); ok && len(s) > maxNumeral && to != cel.StringType {
				return types.WrapErr(ErrTooLong)
			}
			return v.ConvertToType(to)
		})}
		for _, f := range from {
			options = append(options, cel.Overload(name+" "+f.String(), []*cel.Type{f}, to))
		}
		return cel.Function(name, options...)
	}
	b, i, u, d, s := cel.BoolType, cel.IntType, cel.UintType, cel.DoubleType, cel.StringType
	moment, span := cel.TimestampType, cel.DurationType
	return []cel.EnvOption{
		conversion(overloads.TypeConvertInt, i, i, u, d, s, moment, span),
		conversion(overloads.TypeConvertDouble, d, i, u, d, s),
		conversion(overloads.TypeConvertString, s, b, i, u, d, s, moment, span),
		conversion(overloads.TypeConvertTimestamp, moment, i, s, moment),
		conversion(overloads.TypeConvertDuration, span, s, span),
	}
}
