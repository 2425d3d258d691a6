//! Servers that say nothing, too little at a time, or without end.

use std::time::Duration;

use svcauth_tests::evil::ber::{page_end, raw_entry, result};
use svcauth_tests::evil::{Operation, Step};
use svcauth_tests::failure::Outcome;
use svcauth_tests::world::World;

use super::lies::{PEOPLE, instead, row, whole};
use super::stage::{Row, Stage};

const SLOW: &[Row] = &[
    row(
        "a bind that is never answered",
        |request, answer| match request.operation {
            Operation::Bind => vec![Step::Silence],
            _ => answer,
        },
        "no answer to bind within 1 s",
    ),
    row(
        "a search that is never answered",
        |r, a| if r.searches(PEOPLE) { vec![Step::Silence] } else { a },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "silence after half the entries",
        |r, mut a| {
            if r.searches(PEOPLE) {
                a.insert(2, Step::Silence);
            }
            a
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "a byte a second after half the entries",
        |r, a| {
            if !r.searches(PEOPLE) {
                return a;
            }
            let all = whole(a);
            let (half, rest) = all.split_at(all.len() / 2);
            vec![Step::Send(half.to_vec()), Step::Drip(rest.to_vec(), Duration::from_secs(1))]
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "another message id",
        |r, a| {
            let id = r.id + 1000;
            let bytes = [result(id, 0x65, 0, ""), result(id, 0x65, 0, "")].concat();
            if r.searches(PEOPLE) { vec![Step::Send(bytes)] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "an announced message that never comes",
        |r, a| instead(r, a, vec![0x30, 0x83, 0x10, 0, 0]),
        "no answer to the search of [accounts] within 1 s",
    ),
    row(
        "the same cookie for ever",
        |r, a| {
            let bytes = page_end(r.id, 0, b"0");
            if r.searches(PEOPLE) { vec![Step::Send(bytes)] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
    row(
        "a cookie that grows for ever",
        |r, a| {
            let cookie = vec![b'x'; 64 * r.place];
            if r.searches(PEOPLE) { vec![Step::Send(page_end(r.id, 0, &cookie))] } else { a }
        },
        "no answer to the search of [people] within 1 s",
    ),
];

pub(super) fn silence_and_slowness_end_at_the_timeout(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(SLOW)
}

const NEVER_ENDING: &[Row] = &[
    row(
        "ten entries a second",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            let drop = [Step::Send(person), Step::Pause(Duration::from_millis(100))];
            if r.searches(PEOPLE) { drop.into_iter().cycle().take(400).collect() } else { a }
        },
        "within the time allowed for all of it",
    ),
    row(
        "entries without end",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            if r.searches(PEOPLE) { vec![Step::Endless(person.repeat(1000))] } else { a }
        },
        "more than 1,000,000 entries|within the time allowed for all of it",
    ),
    row(
        "bytes without end",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("jpegPhoto", vec![vec![b'x'; 1 << 20]])]);
            if r.searches(PEOPLE) { vec![Step::Endless(person)] } else { a }
        },
        "sent more than 1073741824 bytes in one fetch|within the time allowed for all of it",
    ),
    row(
        "a page of one entry for ever",
        |r, a| {
            let person = raw_entry(r.id, b"uid=x,ou=people", &[("uid", vec![b"x".to_vec()])]);
            let page = [person, page_end(r.id, 0, b"more")].concat();
            if r.searches(PEOPLE) { vec![Step::Send(page)] } else { a }
        },
        "within the time allowed for all of it",
    ),
];

pub(super) fn servers_that_never_end_are_left(world: &mut World) -> Outcome {
    Stage::start(world)?.withstands(NEVER_ENDING)
}
