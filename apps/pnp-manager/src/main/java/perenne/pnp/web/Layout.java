package perenne.pnp.web;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** The page round the content: head, navigation, draft in progress, footer. */
final class Layout {

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("d MMM uuuu, HH:mm 'UTC'", Locale.ENGLISH)
            .withZone(ZoneOffset.UTC);

    private Layout() {}

    static Html render(Frame frame, String title, Html content) {
        String root = frame.root();
        return Html.of("""
                <!DOCTYPE html>
                <html lang="en"%s>
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <meta name="color-scheme" content="light dark">
                <title>%s – PNP Manager</title>
                <link rel="icon" href="%s/assets/icon.svg" type="image/svg+xml">
                <link rel="stylesheet" href="%s/assets/style.css">
                <link rel="stylesheet" href="%s/assets/wishes.css">
                <script src="%s/assets/draft.js" defer></script>
                </head>
                <body>
                <a class="skip" href="#main">Skip to the content</a>
                <header class="top">
                <div class="bar">
                <a class="brand" href="%s/people"><img src="%s/assets/icon.svg" alt="" width="32" height="32"> PNP Manager</a>
                <nav aria-label="Main">
                <ul>
                <li>%s</li>
                <li>%s</li>
                </ul>
                </nav>
                </div>
                </header>
                %s
                <main id="main" tabindex="-1">
                %s
                </main>
                <footer class="bottom">
                <div class="bar">
                <p>Served by <strong>%s</strong></p>
                <p>%s</p>
                <p>Preferences after ISO/IEC 24751</p>
                </div>
                </footer>
                </body>
                </html>
                """,
                wishes(frame), title, root, root, root, root, root, root,
                link(frame, "people", "/people", "People"),
                link(frame, "new", "/people/new", "Add a person"),
                banner(frame), content, frame.node(), database(frame));
    }

    static Html time(Instant instant) {
        return Html.of("<time datetime=\"%s\">%s</time>", instant, TIME.format(instant));
    }

    private static Html wishes(Frame frame) {
        return Html.join(frame.wishes().entrySet().stream()
                .map(wish -> Html.of(" data-%s=\"%s\"", kebab(wish.getKey()), wish.getValue()))
                .toList());
    }

    private static String kebab(String key) {
        return key.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    private static Html link(Frame frame, String section, String path, String label) {
        return Html.of("<a href=\"%s%s\"%s>%s</a>", frame.root(), path,
                Html.when(section.equals(frame.section()), " aria-current=\"page\""), label);
    }

    private static Html banner(Frame frame) {
        if (frame.draft().isEmpty() || frame.section().equals("draft")) {
            return Html.NOTHING;
        }
        Draft draft = frame.draft().get();
        return Html.of("""
                <aside class="draft-banner" aria-label="Draft in progress">
                <div class="bar">
                <p><strong>Draft in progress</strong> for %s, started at %s, step %s of %s.</p>
                <p class="links"><a href="%s/draft/%s">Go on with the draft</a> <a href="%s/draft/discard">Discard it</a></p>
                </div>
                </aside>
                """,
                draft.name(), time(draft.startedAt()), draft.step().number(), Draft.Step.values().length,
                frame.root(), draft.step().key(), frame.root());
    }

    private static Html database(Frame frame) {
        return frame.database().up()
                ? Html.of("Database primary <strong>%s</strong>", frame.database().server())
                : Html.of("Database: <strong>%s</strong>", frame.database().problem());
    }
}
