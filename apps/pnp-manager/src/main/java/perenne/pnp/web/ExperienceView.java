package perenne.pnp.web;

import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import perenne.pnp.model.Catalogue;
import perenne.pnp.model.Level;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preference;
import perenne.pnp.model.Preference.Actor;

/**
 * An example page that follows a person's preferences: the style sheet acts on attributes of the root element, and the markup
 * itself follows what was asked for on the content level.
 */
final class ExperienceView {

    private ExperienceView() {}

    static Html show(Frame frame, Person person) {
        Map<String, String> wishes = person.preferences().effective();
        String address = frame.root() + "/people/" + person.id();
        return Layout.render(frame.applying(wishes), "The library, as " + person.name() + " likes it", Html.of("""
                <nav class="trail" aria-label="You are here"><a href="%s/people">People</a> <span aria-hidden="true">›</span> <a href="%s">%s</a></nav>
                <h1>The town library</h1>
                <p class="lead">An example page, as %s likes it.</p>
                <article>
                %s
                %s
                %s
                %s
                </article>
                <div class="levels">
                %s
                %s
                </div>
                """,
                frame.root(), address, person.name(), person.name(),
                text(wishes), picture(frame, wishes), clip(frame, wishes), form(wishes),
                asked("What this page does for " + person.name(), "applied", person, p -> p.actor() == Actor.PAGE),
                asked("What is left to the device", "handed-on", person, p -> p.actor() == Actor.DEVICE)));
    }

    private static Html text(Map<String, String> wishes) {
        Html details = wishes.get("language").equals("simplified")
                ? Html.of("""
                        <ul><li>You can keep a book for four weeks.</li><li>You can ask for four more weeks.</li>
                        <li>If you are late, you pay 10 cents a day for each book.</li></ul>""")
                : Html.of("""
                        <p>The period of loan is four weeks and may be extended once by the same period, provided that no other reader
                        has reserved the item. Items returned late incur a charge of 10 cents for each item and day.</p>""");
        Html main = wishes.get("language").equals("simplified")
                ? Html.of("""
                        <p>Everybody can use the library. It costs nothing.</p>
                        <p>Come to the desk. Bring your identity card. You get a reader's card at once.</p>""")
                : Html.of("""
                        <p>Registration is open, free of charge, to anyone irrespective of residence. On presentation of an identity
                        document bearing a photograph, the desk issues a reader's card, as a rule within five minutes.</p>""");
        return Html.of("""
                <h2>How to join</h2>
                %s
                <details%s><summary>Borrowing and charges</summary>%s</details>
                """,
                main, Html.when(wishes.get("density").equals("full"), " open"), details);
    }

    private static Html picture(Frame frame, Map<String, String> wishes) {
        return Html.of("""
                <figure>
                <img src="%s/assets/desk.svg" width="640" height="240" alt="The library's desk with the sign Join here; a reader hands over a document.">
                %s
                </figure>
                """,
                frame.root(),
                Html.when(wishes.get("alternativeText").equals("long"), """
                        <figcaption>Long description: a wide desk stands in front of two shelves of books. Above it hangs a sign that says
                        “Join here”. On the left a reader holds out a document; on the right, behind the desk, a librarian takes it.</figcaption>"""));
    }

    private static Html clip(Frame frame, Map<String, String> wishes) {
        boolean captions = wishes.get("captions").equals("true");
        boolean described = wishes.get("audioDescription").equals("true");
        return Html.of("""
                <h2>Your reader's card: a short clip</h2>
                <video controls preload="metadata" width="640" height="360" poster="%s/assets/card.png" aria-label="Clip: your reader's card">
                <source src="%s/assets/%s.webm" type="video/webm">
                <track kind="captions" srclang="en" label="English captions" src="%s/assets/%s.vtt"%s>
                </video>
                %s
                <details class="transcript"%s><summary>Transcript</summary>
                %s
                </details>
                """,
                frame.root(),
                frame.root(), described ? "card-described" : "card", frame.root(), described ? "card-described" : "card",
                Html.when(captions, " default"),
                signLanguage(wishes),
                Html.when(wishes.get("transcript").equals("true"), " open"),
                transcript());
    }

    private static Html transcript() {
        return Html.of("""
                <p><em>A white page with the words: Town library.</em> Welcome to the town library.</p>
                <p><em>A card with a photograph.</em> Bring a document with your photograph.</p>
                <p><em>A desk with a sign: Join here.</em> At the desk, ask for a reader's card.</p>
                <p><em>A green reader's card.</em> The card is free, and ready in five minutes.</p>
                """);
    }

    private static Html signLanguage(Map<String, String> wishes) {
        String wanted = wishes.get("signLanguage");
        Preference preference = Catalogue.find(Level.CONTENT, "signLanguage").orElseThrow();
        return Html.when(!wanted.equals("none"),
                "<p class=\"notice\"><strong>%s</strong> was asked for; this clip has no signed version. Captions and the transcript say the same.</p>",
                preference.display(wanted));
    }

    private static Html form(Map<String, String> wishes) {
        String limit = switch (wishes.get("timeLimits")) {
            case "none" -> "There is no time limit.";
            case "extended" -> "You have 50 minutes; the page asks before they end.";
            default -> "You have 5 minutes; the page asks before they end.";
        };
        return Html.of("""
                <h2>Reserve a book</h2>
                <form class="card narrow" action="#reserve" method="get" id="reserve">
                <div class="field"><label for="title">Title of the book</label>
                <p class="hint" id="title-hint">An example: nothing is sent. %s</p>
                <input id="title" type="text" autocomplete="off" aria-describedby="title-hint"></div>
                <div class="actions"><button class="primary" type="button">Reserve</button> <a href="#main">Back to the top</a></div>
                </form>
                """, limit);
    }

    private static Html asked(String title, String id, Person person, Predicate<Preference> wanted) {
        List<Html> lines = Catalogue.all().stream().filter(wanted).filter(person.preferences()::asked)
                .map(preference -> Html.of("<div><dt>%s</dt><dd>%s</dd></div>",
                        preference.label(), preference.display(person.preferences().value(preference))))
                .toList();
        return Html.of("<section class=\"card\" aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>%s</section>", id, id, title,
                lines.isEmpty() ? Html.of("<p class=\"quiet\">Nothing asked for.</p>") : Html.of("<dl class=\"wishes\">%s</dl>", Html.join(lines)));
    }
}
