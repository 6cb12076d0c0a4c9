package perenne.pnp.model;

import static perenne.pnp.model.Level.CONTENT;
import static perenne.pnp.model.Level.CONTROL;
import static perenne.pnp.model.Level.PRESENTATION;
import static perenne.pnp.model.Preference.Actor.DEVICE;
import static perenne.pnp.model.Preference.Actor.PAGE;

import java.util.List;
import java.util.Optional;
import perenne.pnp.model.Preference.Choice;
import perenne.pnp.model.Preference.Option;
import perenne.pnp.model.Preference.Range;
import perenne.pnp.model.Preference.Toggle;

/**
 * Every preference that can be kept, in the order of the forms. Forms, JSON and the experience page follow from this list.
 *
 * <p>The selection follows ISO/IEC 24751-2:2008 (display, control and content preferences); sign languages are named by
 * ISO 639-3 code.
 */
public final class Catalogue {

    private static final List<Preference> ALL = List.of(
            new Choice(PRESENTATION, "contrastTheme", "Colours and contrast", "Text and background of every page.", PAGE, List.of(
                    new Option("default", "As the page sets them"),
                    new Option("dark-on-light", "Black on white"),
                    new Option("light-on-dark", "White on black"),
                    new Option("yellow-on-black", "Yellow on black"),
                    new Option("dark-on-cream", "Dark brown on cream, softer"))),
            new Range(PRESENTATION, "textSize", "Text size", "100 % is the size that the page sets.", PAGE, 100, 300, 25, "%"),
            new Choice(PRESENTATION, "fontFace", "Typeface", "", PAGE, List.of(
                    new Option("default", "As the page sets it"),
                    new Option("sans-serif", "Without serifs"),
                    new Option("serif", "With serifs"),
                    new Option("monospace", "Every letter equally wide"))),
            new Choice(PRESENTATION, "lineSpacing", "Line spacing", "", PAGE, List.of(
                    new Option("normal", "Normal"),
                    new Option("wide", "One and a half lines"),
                    new Option("wider", "Two lines"))),
            new Choice(PRESENTATION, "letterSpacing", "Letter and word spacing", "", PAGE, List.of(
                    new Option("normal", "Normal"),
                    new Option("wide", "Wide"),
                    new Option("wider", "Very wide"))),
            new Choice(PRESENTATION, "captionSize", "Size of captions", "How large captions are, where they are shown.", PAGE,
                    List.of(new Option("normal", "Normal"), new Option("large", "Large"), new Option("huge", "Very large"))),
            new Toggle(PRESENTATION, "underlineLinks", "Underline every link", "So that no link is told by colour alone.", PAGE),
            new Toggle(PRESENTATION, "reduceMotion", "No motion", "Nothing moves, fades or plays by itself.", PAGE),
            new Toggle(PRESENTATION, "screenReader", "Screen reader", "Pages are read aloud or sent to a braille display.", DEVICE),

            new Choice(CONTROL, "inputMode", "Way of input", "", DEVICE, List.of(
                    new Option("any", "Any"),
                    new Option("keyboard", "Keyboard only"),
                    new Option("pointer", "Pointer only"),
                    new Option("voice", "Voice"),
                    new Option("switch", "One or two switches"))),
            new Choice(CONTROL, "targetSize", "Size of buttons and fields", "", PAGE, List.of(
                    new Option("normal", "Normal"), new Option("large", "Large"), new Option("huge", "Very large"))),
            new Choice(CONTROL, "pointerSize", "Size of the pointer", "", PAGE, List.of(
                    new Option("normal", "Normal"), new Option("large", "Large"), new Option("huge", "Very large"))),
            new Toggle(CONTROL, "strongFocus", "Strong focus mark", "A thick frame round whatever the keyboard is on.", PAGE),
            new Toggle(CONTROL, "stickyKeys", "Sticky keys", "Shift, Ctrl and Alt stay down until the next key.", DEVICE),
            new Range(CONTROL, "slowKeys", "Slow keys", "How long a key must be held before it counts.", DEVICE, 0, 2000, 100, "ms"),
            new Toggle(CONTROL, "onscreenKeyboard", "On-screen keyboard", "", DEVICE),
            new Toggle(CONTROL, "wordPrediction", "Word prediction", "Suggests whole words while typing.", DEVICE),
            new Choice(CONTROL, "timeLimits", "Time limits", "What happens where a page gives only so much time.", PAGE, List.of(
                    new Option("standard", "As the page sets them"),
                    new Option("extended", "Ten times as long"),
                    new Option("none", "None"))),

            new Choice(CONTENT, "language", "Language level", "Simplified text where there is one.", PAGE, List.of(
                    new Option("original", "Original"), new Option("simplified", "Simplified"))),
            new Choice(CONTENT, "density", "Amount of content", "", PAGE, List.of(
                    new Option("full", "Everything"), new Option("overview", "The main points; details on request"))),
            new Toggle(CONTENT, "captions", "Captions", "Speech and sounds as text in the picture.", PAGE),
            new Toggle(CONTENT, "transcript", "Transcript", "The whole clip as text below it.", PAGE),
            new Toggle(CONTENT, "audioDescription", "Audio description", "What is seen, told in words.", PAGE),
            new Choice(CONTENT, "signLanguage", "Sign language", "", PAGE, List.of(
                    new Option("none", "None"),
                    new Option("ils", "International Sign"),
                    new Option("ase", "American Sign Language"),
                    new Option("bfi", "British Sign Language"),
                    new Option("csn", "Colombian Sign Language"),
                    new Option("ecs", "Ecuadorian Sign Language"),
                    new Option("ssp", "Spanish Sign Language"))),
            new Choice(CONTENT, "alternativeText", "Description of pictures", "", PAGE, List.of(
                    new Option("short", "Short, read by screen readers"),
                    new Option("long", "Long, shown to everyone below the picture"))));

    private Catalogue() {}

    public static List<Preference> all() {
        return ALL;
    }

    public static List<Preference> of(Level level) {
        return ALL.stream().filter(preference -> preference.level() == level).toList();
    }

    public static Optional<Preference> find(Level level, String key) {
        return of(level).stream().filter(preference -> preference.key().equals(key)).findFirst();
    }
}
