//! The grammars of names. Each check gives what is wrong, in the words of the API server.

/// RFC 1123 label: what a namespace is called.
pub(crate) fn label(text: &str) -> Result<(), &'static str> {
    let wrong = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character";
    if text.len() > 63 {
        return Err("must be no more than 63 characters");
    }
    if is_label(text) { Ok(()) } else { Err(wrong) }
}

/// RFC 1035 label: what a Service is called.
pub(crate) fn label_1035(text: &str) -> Result<(), &'static str> {
    let wrong = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                 character, and end with an alphanumeric character";
    if text.len() > 63 {
        return Err("must be no more than 63 characters");
    }
    if is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) { Ok(()) } else { Err(wrong) }
}

/// RFC 1123 subdomain: what most objects are called.
pub(crate) fn subdomain(text: &str) -> Result<(), &'static str> {
    let wrong = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                 start and end with an alphanumeric character";
    if text.len() > 253 {
        return Err("must be no more than 253 characters");
    }
    if text.split('.').all(is_label) { Ok(()) } else { Err(wrong) }
}

/// A subdomain, or `*.` and a subdomain.
pub(super) fn wildcard(text: &str) -> Result<(), &'static str> {
    let wrong = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain";
    match text.strip_prefix("*.") {
        Some(rest) => subdomain(rest).map_err(|_| wrong),
        None if text.contains('*') => Err(wrong),
        None => subdomain(text),
    }
}

/// What may stand in a path: names of RBAC objects.
pub(super) fn path_segment(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("name is required"),
        "." | ".." => Err("may not be '.' or '..'"),
        text if text.contains(['/', '%']) => Err("may not contain '/' or '%'"),
        _ => Ok(()),
    }
}

/// Keys of labels and annotations: a name of at most 63 characters, maybe with a subdomain before it.
pub(super) fn qualified(text: &str) -> Result<(), &'static str> {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    if prefix.is_some_and(|prefix| subdomain(&prefix.to_ascii_lowercase()).is_err()) {
        return Err("prefix part must be a lowercase RFC 1123 subdomain");
    }
    let wrong = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character";
    if name.is_empty() {
        return Err("name part must be non-empty");
    }
    if name.len() > 63 {
        return Err("name part must be no more than 63 characters");
    }
    if is_loose(name) { Ok(()) } else { Err(wrong) }
}

/// Values of labels.
pub(super) fn label_value(text: &str) -> Result<(), &'static str> {
    if text.len() > 63 {
        return Err("must be no more than 63 characters");
    }
    let wrong = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
                 start and end with an alphanumeric character";
    if text.is_empty() || is_loose(text) { Ok(()) } else { Err(wrong) }
}

/// `acme.io/foo`: what a controller is called.
pub(super) fn domain_prefixed(text: &str) -> Result<(), &'static str> {
    let wrong = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    let (domain, path) = text.split_once('/').ok_or(wrong)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.~%!$&'()*+,;=:/".contains(c);
    if subdomain(domain).is_err() || path.is_empty() || !path.chars().all(legal) {
        Err(wrong)
    } else {
        Ok(())
    }
}

/// Names of ports: at most 15 characters, with a letter.
pub(super) fn port(text: &str) -> Result<(), &'static str> {
    if text.len() > 15 {
        return Err("must be no more than 15 characters");
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edges = text.starts_with('-') || text.ends_with('-') || text.contains("--");
    if text.is_empty() || edges || !text.chars().all(legal) || !text.chars().any(|c| c.is_ascii_lowercase()) {
        return Err(
            "must contain at least one letter (a-z), only alphanumeric characters and '-', and no '-' at its ends",
        );
    }
    Ok(())
}

fn is_label(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_loose(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars().all(legal) && text.starts_with(edge) && text.ends_with(edge)
}
