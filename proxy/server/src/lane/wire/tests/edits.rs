use proptest::prelude::*;

use super::*;

#[test]
fn cuts_and_inserts_around_a_body_that_stays_where_it_is() {
    let request = b"POST /a HTTP/1.1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nHost: a\r\nX_Y: 1\r\n\
        Content-Length: 3\r\n\r\nabcGET";
    let mut buffer = buffer_of(request);
    let head = taken(buffer.data());
    let body = buffer.data()[head.head..].as_ptr();
    let length = head.edits(|_| Treat::Cut).apply(&mut buffer, &[b"X-A: ", b"", b"1", b"\r\n"]).unwrap();
    let expected = b"POST /a HTTP/1.1\r\nX-A: 1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET";
    assert_eq!(buffer.data().escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(length, expected.len() - b"abcGET".len());
    assert_eq!(buffer.data()[length..].as_ptr(), body);
}

#[test]
fn policy_chooses_what_is_cut() {
    let request = get_with("X-Request-ID: 7\r\nForwarded: for=x\r\n");
    let mut buffer = buffer_of(&request);
    let head = taken(buffer.data());
    let edits = head.edits(|kind| if kind == FieldKind::RequestId { Treat::Keep } else { Treat::Cut });
    edits.apply(&mut buffer, &[]).unwrap();
    assert_eq!(buffer.data(), get_with("X-Request-ID: 7\r\n"));
}

#[test]
fn without_room_nothing_is_changed() {
    let request = get_with("A_B: c\r\n");
    let mut buffer = buffer_of(&request);
    let edits = taken(buffer.data()).edits(|_| Treat::Cut);
    let most = ROOM + b"A_B: c\r\n".len();
    assert_eq!(edits.apply(&mut buffer, &[&vec![b'x'; most + 1]]), Err(EditError::NoRoom));
    assert_eq!(edits.apply(&mut buffer, &[&vec![b'x'; most], b"y"]), Err(EditError::NoRoom));
    assert_eq!(buffer.data(), request);
    assert_eq!(buffer.room(), ROOM);
    // To the last byte it works.
    assert_eq!(edits.apply(&mut buffer, &[&vec![b'x'; most]]), Ok(request.len() + ROOM));
    assert_eq!(buffer.room(), 0);
    assert_eq!(buffer.data().len(), request.len() + ROOM);
}

#[test]
fn edits_need_the_head_they_were_made_for() {
    let mut buffer = buffer_of(&get_with("A_B: c\r\n"));
    let edits = taken(buffer.data()).edits(|_| Treat::Cut);
    buffer.consume(1);
    let before = buffer.data().to_vec();
    assert_eq!(edits.apply(&mut buffer, &[]), Err(EditError::NoHead));
    assert_eq!(buffer.data(), before);
}

#[test]
fn ranges_are_checked() {
    let data = get_with("A: b\r\n");
    let mut edits = taken(&data).edits(|_| Treat::Cut);
    let (line, end) = (16, data.len() as u16);
    assert_eq!(edits.cut(Span::new(line - 1, line + 1)), Err(EditError::Range));
    assert_eq!(edits.cut(Span::new(line, end - 1)), Err(EditError::Range));
    assert_eq!(edits.cut(Span::new(end, end)), Ok(()), "an empty range is no edit");
    assert_eq!(edits.cut(Span::new(line + 3, line + 5)), Ok(()));
    assert_eq!(edits.cut(Span::new(line, line + 1)), Err(EditError::Range));
    assert_eq!(edits.cut(Span::new(line + 4, line + 6)), Err(EditError::Range));
    assert_eq!(edits.cut(Span::new(line + 5, end - 2)), Ok(()));
    assert_eq!(edits.head_after(0), data.len() - usize::from(end - 2 - line - 3));
}

proptest! {
    /// In place and by building anew come to the same, wherever the data stands in the buffer.
    #[test]
    fn edits_equal_a_naive_rebuild(
        before in 0usize..3000,
        lines in prop::collection::vec(("[A-Za-z_-]{1,12}", "[ -~]{0,40}", any::<bool>()), 0..30),
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..500),
    ) {
        let mut buffer = buffer_of(&vec![b'-'; before + 1]);
        buffer.consume(before); // keeps one byte, so that the buffer does not start anew
        let first_line = "GET / HTTP/1.1\r\n";
        let lines: Vec<_> = lines.iter().map(|(name, value, cut)| (format!("{name}:{value}\r\n"), *cut)).collect();
        let head: String = [first_line].into_iter().chain(lines.iter().map(|(line, _)| &line[..])).chain(["\r\n"]).collect();
        let data = [head.as_bytes(), &body].concat();
        buffer.spare()[..data.len()].copy_from_slice(&data);
        buffer.advance(data.len());
        buffer.consume(1);

        let mut edits = Edits::new(Span::new(0, first_line.len() as u16), head.len());
        let mut at = first_line.len();
        for (line, cut) in &lines {
            if *cut {
                edits.cut(Span::new(at as u16, (at + line.len()) as u16)).unwrap();
            }
            at += line.len();
        }
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
        let length = edits.apply(&mut buffer, &pieces).unwrap();

        let kept: String = lines.iter().filter(|(_, cut)| !cut).map(|(line, _)| &line[..]).collect();
        let expected = [first_line.as_bytes(), &pieces.concat(), kept.as_bytes(), b"\r\n", &body].concat();
        prop_assert_eq!(buffer.data(), &expected[..]);
        prop_assert_eq!(length, expected.len() - body.len());
    }

    /// Any sequence of calls agrees with a plain vector, and none panics.
    #[test]
    fn a_buffer_behaves_like_a_vector(calls in prop::collection::vec((0..5u8, prop_oneof![0..40usize, 0..CAP, Just(usize::MAX)]), 0..200)) {
        let mut buffer = Buffer::new();
        let mut model: Vec<u8> = Vec::new();
        let mut next = 0u8;
        for (call, n) in calls {
            match call {
                0 | 1 => {
                    let spare = buffer.spare();
                    let n = n.min(spare.len());
                    for byte in &mut spare[..n] {
                        next = next.wrapping_add(1);
                        *byte = next;
                        model.push(next);
                    }
                    buffer.advance(n);
                }
                2 => {
                    buffer.consume(n);
                    model.drain(..n.min(model.len()));
                }
                3 => buffer.compact(),
                _ if n > 10_000 => {
                    buffer.reset();
                    model.clear();
                }
                _ => {}
            }
            prop_assert_eq!(buffer.data(), &model[..]);
            prop_assert_eq!(buffer.is_empty(), model.is_empty());
            prop_assert!(buffer.room() >= ROOM);
            if call == 3 || model.is_empty() {
                prop_assert_eq!(buffer.spare().len(), CAP - model.len());
            }
        }
    }
}

#[test]
fn a_buffer_takes_exactly_its_capacity() {
    let mut buffer = Buffer::new();
    assert_eq!(buffer.spare().len(), CAP);
    buffer.advance(usize::MAX);
    assert_eq!(buffer.data().len(), CAP);
    assert!(buffer.spare().is_empty());
    buffer.consume(usize::MAX);
    assert!(buffer.is_empty());
    assert_eq!(buffer.spare().len(), CAP);
}

#[test]
fn debug_shows_no_bytes() {
    assert_eq!(format!("{:?}", buffer_of(b"secret")), "Buffer { start: 1024, len: 6 }");
}
