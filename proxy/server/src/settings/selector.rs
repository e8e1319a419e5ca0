//! Label selectors of Kubernetes: whether the API server will understand one.
//!
//! The grammar is that of Kubernetes' own parser: requirements separated by commas, each `key`, `!key`, `key=value`
//! (`==`, `!=`), `key in (a,b)`, `key notin (a,b)`, `key>1` or `key<1`. Only the form is checked; the API server selects.

use super::value::Expected;

/// Whether `text` is a label selector.
///
/// # Errors
///
/// With the first thing that is wrong in it.
pub(super) fn check(text: &str) -> Result<(), Expected> {
    let mut rest = Tokens { rest: text };
    selector(&mut rest).map_err(|why| format!("expected a label selector such as `{EXAMPLE}`: {why}"))
}

/// What a selector is made of, one after the other.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    rest: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A key, a value, or `in` or `notin`, which may be values too.
    Word(&'a str),
    /// `=`, `==`, `!=`, `!`, `>`, `<`, `(`, `)` or `,`
    Sign(&'a str),
    End,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start();
        let sign = SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)).map(str::len);
        let word = self.rest.find(|letter: char| letter.is_whitespace() || "=!()<>,".contains(letter));
        let length = sign.or(word).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        match (token, sign) {
            ("", _) => Token::End,
            (token, Some(_)) => Token::Sign(token),
            (token, None) => Token::Word(token),
        }
    }

    fn peek(mut self) -> Token<'a> {
        self.next()
    }
}

fn selector(tokens: &mut Tokens<'_>) -> Result<(), String> {
    loop {
        requirement(tokens)?;
        match tokens.next() {
            Token::End => return Ok(()),
            Token::Sign(",") => {}
            other => return Err(format!("{} is not expected behind a requirement", shown(other))),
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<(), String> {
    if tokens.peek() == Token::Sign("!") {
        tokens.next();
        return key(tokens.next());
    }
    key(tokens.next())?;
    match tokens.peek() {
        Token::End | Token::Sign(",") => Ok(()),
        Token::Sign("=" | "==" | "!=") => {
            tokens.next();
            value(tokens).map(drop)
        }
        Token::Sign("<" | ">") => {
            tokens.next();
            let number = value(tokens)?;
            number.parse::<i64>().map(drop).map_err(|_| format!("{number:?} is no whole number"))
        }
        Token::Word("in" | "notin") => {
            tokens.next();
            values(tokens)
        }
        other => Err(format!("{} is none of =, ==, !=, in, notin, < and >", shown(other))),
    }
}

/// Values in parentheses, one at least.
fn values(tokens: &mut Tokens<'_>) -> Result<(), String> {
    match tokens.next() {
        Token::Sign("(") if tokens.peek() == Token::Sign(")") => Err("a set of values is empty".to_owned()),
        Token::Sign("(") => loop {
            value(tokens)?;
            match tokens.next() {
                Token::Sign(",") => {}
                Token::Sign(")") => return Ok(()),
                other => return Err(format!("{} is neither a comma nor the end of a set", shown(other))),
            }
        },
        other => Err(format!("{} is no set such as (a,b)", shown(other))),
    }
}

/// A value, which may be empty.
fn value<'a>(tokens: &mut Tokens<'a>) -> Result<&'a str, String> {
    let Token::Word(text) = tokens.peek() else { return Ok("") };
    tokens.next();
    if is_name(text) { Ok(text) } else { Err(format!("{text:?} is no value of a label")) }
}

/// `name` or `prefix/name`
fn key(token: Token<'_>) -> Result<(), String> {
    let Token::Word(text) = token else { return Err(format!("{} is no key of a label", shown(token))) };
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let good = !matches!(text, "in" | "notin") && is_name(name) && prefix.is_none_or(is_domain);
    if good { Ok(()) } else { Err(format!("{text:?} is no key of a label")) }
}

/// Letters, digits, `-`, `_` and `.`, at most 63, with a letter or digit at either end.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && end(text.bytes().next()) && end(text.bytes().last())
}

/// A DNS name in lower case (RFC 1123), at most 253 letters.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn shown(token: Token<'_>) -> String {
    match token {
        Token::Word(text) | Token::Sign(text) => format!("{text:?}"),
        Token::End => "the end".to_owned(),
    }
}

/// The longer ones first.
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", "<", ">", ","];
const EXAMPLE: &str = "team=shop,stage!=test,tier in (a,b),!old";

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_kubernetes_understands_is_understood() {
        for good in [
            "a=b",
            "a==b",
            "a = b",
            "a=",
            "a!=",
            "a=,b",
            "a",
            "!a",
            "! a",
            "a=b,c!=d,e in (f,g),h notin (i),j,!k",
            "e in(f , g)",
            "e in (,)",
            "e in (in, notin)",
            "a=in",
            "kubernetes.io/metadata.name=shop",
            "example.com/a_b.c-d in (x)",
            "size>3,size<7",
            "a=b,a=c",
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn what_it_does_not_understand_is_told() {
        let long = "a".repeat(64);
        let bad = [
            "",
            ",",
            "a,",
            "a,,b",
            "=b",
            "a=b=c",
            "a b",
            "a in",
            "a in b",
            "a in ()",
            "a in (b",
            "a in (b c)",
            "a in (b))",
            "!a=b",
            "!!a",
            "in",
            "notin (a)",
            "a=b;c",
            "a=-b",
            "a_=b",
            "-a",
            "A.b/c/d",
            "Up/c",
            "/c",
            "a/",
            ".a/b",
            "a>b",
            "a<-7",
            "a>",
            "a=b)",
            "a===b",
            "ä=b",
            &long,
        ];
        let told: Vec<_> = bad
            .iter()
            .map(|text| {
                let why = check(text).unwrap_err();
                let why = why.split_once("`: ").unwrap().1;
                format!("{}: {why}\n", text.get(..20).unwrap_or(text))
            })
            .collect();
        expect![[r#"
            : the end is no key of a label
            ,: "," is no key of a label
            a,: the end is no key of a label
            a,,b: "," is no key of a label
            =b: "=" is no key of a label
            a=b=c: "=" is not expected behind a requirement
            a b: "b" is none of =, ==, !=, in, notin, < and >
            a in: the end is no set such as (a,b)
            a in b: "b" is no set such as (a,b)
            a in (): a set of values is empty
            a in (b: the end is neither a comma nor the end of a set
            a in (b c): "c" is neither a comma nor the end of a set
            a in (b)): ")" is not expected behind a requirement
            !a=b: "=" is not expected behind a requirement
            !!a: "!" is no key of a label
            in: "in" is no key of a label
            notin (a): "notin" is no key of a label
            a=b;c: "b;c" is no value of a label
            a=-b: "-b" is no value of a label
            a_=b: "a_" is no key of a label
            -a: "-a" is no key of a label
            A.b/c/d: "A.b/c/d" is no key of a label
            Up/c: "Up/c" is no key of a label
            /c: "/c" is no key of a label
            a/: "a/" is no key of a label
            .a/b: ".a/b" is no key of a label
            a>b: "b" is no whole number
            a<-7: "-7" is no value of a label
            a>: "" is no whole number
            a=b): ")" is not expected behind a requirement
            a===b: "=" is not expected behind a requirement
            ä=b: "ä" is no key of a label
            aaaaaaaaaaaaaaaaaaaa: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is no key of a label
        "#]].assert_eq(&told.concat());
    }

    #[test]
    fn any_text_is_judged() {
        let mut rng = fastrand::Rng::with_seed(1);
        let letters: Vec<_> = "ab!=<>(), in/.-_ä\t".chars().collect();
        let mut good = 0;
        for _ in 0..20_000 {
            let text: String = (0..rng.usize(..12)).filter_map(|_| rng.choice(&letters)).collect();
            good += usize::from(check(&text).is_ok());
        }
        assert!(good > 100, "{good}");
    }
}
