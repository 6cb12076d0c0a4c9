package perenne.pnp.web;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import perenne.pnp.Health;
import perenne.pnp.model.Catalogue;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preferences;
import perenne.pnp.model.Violation;
import perenne.pnp.store.People;

/** What can be told of accessibility without a browser, on every page. */
class ViewsTest {

    private static final String HOSTILE = "<b>&\"'</b>";
    private static final Preferences SOME = Preferences.lenient(Map.of(
            "contrastTheme", "yellow-on-black", "textSize", "150", "captions", "true", "signLanguage", "ssp",
            "alternativeText", "long", "stickyKeys", "true"));
    private static final Person PERSON = new Person(new UUID(1, 2), HOSTILE, SOME, 3, Instant.EPOCH, Instant.EPOCH);
    private static final Draft DRAFT = Draft.of(PERSON);
    private static final Frame FRAME = new Frame("/pnp-manager", "people", Optional.of(DRAFT), "app01",
            new Health.Status("198.18.20.31", true, null, 0), Map.of());

    /** A page by name: JUnit shows the name. */
    record Page(String name, String markup) {
        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Page> pages() {
        Map<String, Html> pages = new LinkedHashMap<>();
        pages.put("list", PeopleViews.list(FRAME, new People.Page(List.of(PERSON), 2, 1, 3), HOSTILE, true));
        pages.put("empty list", PeopleViews.list(FRAME, new People.Page(List.of(), 1, 20, 0), HOSTILE, false));
        pages.put("create", PeopleViews.create(FRAME, HOSTILE, Optional.of("must not be empty")));
        pages.put("show", PeopleViews.show(FRAME, PERSON, true));
        pages.put("delete", PeopleViews.delete(FRAME, PERSON));
        pages.put("experience", ExperienceView.show(FRAME, PERSON));
        pages.put("review", DraftViews.review(FRAME, DRAFT, HOSTILE, Optional.of("must not be empty"), OptionalLong.of(4)));
        pages.put("discard", DraftViews.discard(FRAME, DRAFT));
        Arrays.stream(Draft.Step.values()).filter(step -> step.level().isPresent()).forEach(step -> {
            String level = step.level().orElseThrow().key();
            List<Violation> violations = Catalogue.of(step.level().orElseThrow()).stream()
                    .map(preference -> new Violation(List.of("preferences", level, preference.key()), "must be right")).toList();
            pages.put(level, DraftViews.step(FRAME, DRAFT, step, SOME::value, List.of()));
            pages.put(level + " in error", DraftViews.step(FRAME, DRAFT, step, preference -> HOSTILE, violations));
        });
        return pages.entrySet().stream().map(page -> new Page(page.getKey(), page.getValue().markup()));
    }

    @ParameterizedTest
    @MethodSource("pages")
    void hasLandmarksOneHeadingAndASkipLink(Page page) {
        for (String part : List.of("<html lang=\"en\"", "<main id=\"main\"", "<header", "<footer", "<nav aria-label=\"Main\"", "<h1>")) {
            assertEquals(1, all(page, Pattern.quote(part)).size(), part);
        }
        assertTrue(page.markup().indexOf("href=\"#main\"") < page.markup().indexOf("<header"));
    }

    @ParameterizedTest
    @MethodSource("pages")
    void headingsSkipNoLevel(Page page) {
        int last = 0;
        for (MatchResult heading : all(page, "<h([1-6])")) {
            // The first h2 may stand before the h1, in an alert.
            int level = Integer.parseInt(heading.group(1));
            assertTrue(level <= Math.max(last, 1) + 1);
            last = level;
        }
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyFieldHasALabel(Page page) {
        Set<String> labelled = new HashSet<>();
        all(page, "<label for=\"([^\"]+)\"").forEach(label -> labelled.add(label.group(1)));
        String outsideLabels = page.markup().replaceAll("(?s)<label>.*?</label>", "");
        Pattern.compile("<(?:input|select)([^>]*)>").matcher(outsideLabels).results()
                .map(field -> field.group(1)).filter(attributes -> !attributes.contains("type=\"hidden\""))
                .forEach(attributes -> assertTrue(labelled.contains(attribute(attributes, "id")), attributes));
    }

    @ParameterizedTest
    @MethodSource("pages")
    void idsAreUniqueAndWhatRefersToThemFindsThem(Page page) {
        List<String> ids = all(page, " id=\"([^\"]+)\"").stream().map(id -> id.group(1)).toList();
        assertEquals(Set.copyOf(ids).size(), ids.size(), ids.toString());
        all(page, " (?:aria-describedby|aria-labelledby|for)=\"([^\"]+)\"|href=\"#([^\"]+)\"").forEach(reference -> {
            String targets = reference.group(1) != null ? reference.group(1) : reference.group(2);
            assertTrue(ids.containsAll(List.of(targets.split(" "))), targets);
        });
    }

    @ParameterizedTest
    @MethodSource("pages")
    void nothingNeedsMoreThanThePolicyAllows(Page page) {
        assertEquals(List.of(), all(page, "<style| style=| on[a-z]+=\"|<script(?! src=\"/pnp-manager/)|(?:src|href)=\"(?!/pnp-manager/|#)"));
    }

    @ParameterizedTest
    @MethodSource("pages")
    void textIsEscaped(Page page) {
        assertFalse(page.markup().contains(HOSTILE));
        assertFalse(page.markup().contains("%s"));
    }

    @Test
    void experienceCarriesTheWishesOnTheRoot() {
        String markup = ExperienceView.show(FRAME, PERSON).markup();

        assertTrue(markup.contains(" data-contrast-theme=\"yellow-on-black\""));
        assertTrue(markup.contains(" data-text-size=\"150\""));
        assertTrue(markup.contains(".vtt\" default>"));
        assertTrue(markup.contains("Spanish Sign Language"));
    }

    @Test
    void draftInProgressIsShownOnOtherPages() {
        String markup = PeopleViews.delete(FRAME, PERSON).markup();

        assertTrue(markup.contains("<strong>Draft in progress</strong> for &lt;b&gt;"));
        assertTrue(markup.contains("step 1 of 4"));
        assertTrue(markup.contains("Served by <strong>app01</strong>"));
        assertTrue(markup.contains("Database primary <strong>198.18.20.31</strong>"));
    }

    private static List<MatchResult> all(Page page, String expression) {
        return Pattern.compile(expression).matcher(page.markup()).results().toList();
    }

    private static String attribute(String attributes, String name) {
        return Pattern.compile(" " + name + "=\"([^\"]*)\"").matcher(attributes).results().findFirst().map(m -> m.group(1)).orElse("");
    }
}
