//! The terminal's text as an SVG picture, for documents: words in their colours, light and dark by the reader's wish.

use crate::{Cell, Style, paint::COLOURS, terminal::for_people};

/// Size of a character of the picture's font.
const CHARACTER_WIDTH: f64 = 8.4;
const LINE_HEIGHT: usize = 19;
const FONT_SIZE: usize = 14;
/// Space around the text.
const MARGIN: usize = 16;

/// What `probelab` prints of these runs after the command line `command`, as an SVG picture.
pub fn to_svg(cells: &[Cell<'_>], command: &str) -> String {
    picture(&format!("$ {command}\n{}", for_people(cells, Style::Plain)))
}

fn picture(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let width = (longest as f64 * CHARACTER_WIDTH).ceil() as usize + 2 * MARGIN;
    let height = lines.len() * LINE_HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<style>{}</style>\n<rect class=\"b\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n<text>\n",
        escaped(lines.first().copied().unwrap_or_default()),
        style()
    );
    for (index, line) in lines.iter().enumerate() {
        let y = MARGIN + FONT_SIZE + index * LINE_HEIGHT;
        svg.push_str(&format!(
            "<tspan x=\"{MARGIN}\" y=\"{y}\">{}</tspan>\n",
            coloured(line)
        ));
    }
    svg + "</text>\n</svg>\n"
}

fn style() -> String {
    format!(
        "text{{font:{FONT_SIZE}px ui-monospace,'DejaVu Sans Mono',monospace;white-space:pre;fill:#1f2328}}.b{{fill:#f6f8fa;stroke:#d1d9e0}}\
         .k32{{fill:#116329}}.k31{{fill:#a40e26;font-weight:bold}}.k35{{fill:#6639ba}}.k33{{fill:#7d4e00}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.b{{fill:#151b23;stroke:#3d444d}}\
         .k32{{fill:#56d364}}.k31{{fill:#ff8182}}.k35{{fill:#d2a8ff}}.k33{{fill:#e3b341}}}}"
    )
}

/// A line with the words that have a colour on a terminal in it here too. Other text is escaped and keeps its spaces.
fn coloured(line: &str) -> String {
    let mut svg = String::new();
    let mut plain = String::new();
    for part in line.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let word = part.trim_end_matches(|character: char| !character.is_alphanumeric());
        match COLOURS.iter().find(|(coloured, _)| *coloured == word) {
            Some((_, code)) => {
                svg.push_str(&escaped(&std::mem::take(&mut plain)));
                svg.push_str(&format!("<tspan class=\"k{code}\">{word}</tspan>"));
                plain.push_str(&part[word.len()..]);
            }
            None => plain.push_str(part),
        }
    }
    svg + &escaped(&plain)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_coloured_where_they_stand_alone() {
        assert_eq!(
            coloured("a<b  passed  FAILED/passed unpassed"),
            "a&lt;b  <tspan class=\"k32\">passed</tspan>  <tspan class=\"k31\">FAILED</tspan>/<tspan class=\"k32\">passed</tspan> unpassed"
        );
    }

    #[test]
    fn the_picture_is_as_large_as_its_text() {
        let svg = picture("$ probelab\n 1 passed\n");
        assert!(svg.contains("viewBox=\"0 0 116 70\""), "{svg}");
        assert_eq!(svg.matches(" y=").count(), 2);
    }
}
